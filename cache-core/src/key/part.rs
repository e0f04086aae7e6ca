//! What can be an argument in a key.

use std::borrow::Cow;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;

use super::writer::KeyWriter;

/// A value that can stand in a key as an argument.
///
/// Integers, `bool`, `char`, strings, `Option`, tuples, slices, pointers to them, and with the feature `uuid` a
/// `Uuid`. Your own newtypes, structs and enums by `#[derive(KeyPart)]`.
///
/// It promises that distinct values of one type write distinct parts. Values of different types are alike only where
/// that is wanted: integers of one value, strings of one text, `Some(x)` and `x`.
///
/// It is not implemented for everything that serializes, as a skipped field would let two keys collide; nor for
/// floats (`0.0` and `-0.0`, `NaN`: equal is not alike) and maps (no settled order).
///
/// By hand: see [`KeyWriter`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't stand in a key",
    label = "not a `KeyPart`",
    note = "derive it for your own type (`#[derive(KeyPart)]`), put a part of the value in the key (`{{filter.page}}`), or leave the argument out with `skip(..)`",
    note = "floats are refused because equal ones need not be alike (`0.0`, `-0.0`, `NaN`), maps because they have no settled order"
)]
pub trait KeyPart {
    /// Writes exactly one part.
    fn write(&self, out: &mut KeyWriter);
}

macro_rules! integers {
    ($method:ident: $($integer:ty),+) => {$(
        impl KeyPart for $integer {
            #[inline]
            #[allow(clippy::cast_lossless, reason = "`usize` has no `From`")]
            fn write(&self, out: &mut KeyWriter) {
                out.$method(*self as _);
            }
        }

        impl KeyPart for NonZero<$integer> {
            #[inline]
            fn write(&self, out: &mut KeyWriter) {
                self.get().write(out);
            }
        }
    )+};
}

integers!(number_u: u8, u16, u32, u64, u128, usize);
integers!(number_i: i8, i16, i32, i64, i128, isize);

macro_rules! pointers {
    ($($pointer:ty),+) => {$(
        impl<T: KeyPart + ?Sized> KeyPart for $pointer {
            #[inline]
            fn write(&self, out: &mut KeyWriter) {
                T::write(self, out);
            }
        }
    )+};
}

pointers!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<$($name: KeyPart),+> KeyPart for ($($name,)+) {
            #[inline]
            #[allow(non_snake_case, reason = "a type parameter and its value share one name here")]
            fn write(&self, out: &mut KeyWriter) {
                let ($($name,)+) = self;
                out.list(|out| {
                    $(out.part($name);)+
                });
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
tuples!(A B C D E F G H I);
tuples!(A B C D E F G H I J);
tuples!(A B C D E F G H I J K);
tuples!(A B C D E F G H I J K L);

// === impl KeyPart ===

impl KeyPart for bool {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        out.boolean(*self);
    }
}

impl KeyPart for char {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        out.text(self.encode_utf8(&mut [0; 4]));
    }
}

impl KeyPart for str {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        out.text(self);
    }
}

impl KeyPart for String {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        out.text(self);
    }
}

impl<T: KeyPart + ToOwned + ?Sized> KeyPart for Cow<'_, T> {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        T::write(self, out);
    }
}

impl KeyPart for () {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        out.nothing();
    }
}

impl<T: KeyPart> KeyPart for Option<T> {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        match self {
            Some(value) => out.some(value),
            None => out.nothing(),
        }
    }
}

impl<T: KeyPart> KeyPart for [T] {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        out.sequence(|out| {
            for element in self {
                out.part(element);
            }
        });
    }
}

impl<T: KeyPart> KeyPart for Vec<T> {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        self.as_slice().write(out);
    }
}

impl<T: KeyPart, const N: usize> KeyPart for [T; N] {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        self.as_slice().write(out);
    }
}

#[cfg(feature = "uuid")]
impl KeyPart for uuid::Uuid {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        out.text(self.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
    }
}
