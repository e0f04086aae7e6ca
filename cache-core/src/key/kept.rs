//! A part written down, to stand in a key later: an argument that the body of a function takes away before the rest of the
//! key is known.

use super::part::KeyPart;
use super::words::Words;
use super::writer::KeyWriter;

/// An argument written down.
#[doc(hidden)]
#[derive(Clone)]
pub struct KeptPart(Words);

impl KeptPart {
    /// Writes `part` down.
    pub fn of(part: &(impl KeyPart + ?Sized)) -> Self {
        let mut writer = KeyWriter::new(Words::new());
        writer.part(part);
        Self(writer.words)
    }
}

impl KeyPart for KeptPart {
    fn write(&self, out: &mut KeyWriter) {
        out.kept(&self.0);
    }
}
