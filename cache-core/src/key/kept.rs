//! A part written down, to stand in a key later: an argument that the body of a function takes away before the rest of the
//! key is known.

use super::part::KeyPart;
use super::writer::KeyWriter;

/// An argument written down.
#[doc(hidden)]
#[derive(Clone)]
pub struct KeptPart(KeyWriter);

impl KeptPart {
    /// Writes `part` down.
    pub fn of(part: &(impl KeyPart + ?Sized)) -> KeptPart {
        let mut written = KeyWriter::new();
        written.part(part);
        KeptPart(written)
    }
}

impl KeyPart for KeptPart {
    fn write(&self, out: &mut KeyWriter) {
        out.kept(&self.0.words);
    }
}
