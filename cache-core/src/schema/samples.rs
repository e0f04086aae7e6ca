//! Values that are offered to a type until it takes one. Not part of the fingerprint: the lists may grow.
//!
//! The first of each is one that careless code can stand: long enough to be cut, and no zero to divide by.

/// Texts, one of each common kind.
pub(super) const TEXTS: &[&str] = &[
    "00000000-0000-4000-8000-000000000001",
    "",
    "0",
    "1",
    "a",
    "A",
    "2000-01-01T00:00:00Z",
    "2000-01-01T00:00:00",
    "2000-01-01",
    "00:00:00",
    "2000-01-01 00:00:00",
    "2000-01-01 00:00:00 UTC",
    "Sat, 01 Jan 2000 00:00:00 GMT",
    "http://a.example/",
    "127.0.0.1",
    "::1",
    "127.0.0.1:80",
    "[::1]:80",
    "10.0.0.0/8",
    "a@b.example",
    "a.example",
    "1.0.0",
    "1.5",
    "/a",
    "a/b",
    "text/plain",
    "GET",
    "200 OK",
    "en",
    "en-US",
    "DE",
    "EUR",
    "UTC",
    "Europe/Berlin",
    "+00:00",
    "Mon",
    "Jan",
    "P1D",
    "1s",
    "#000000",
    "true",
    "{}",
    "[]",
    "AAAA",
    "AAAAAAAAAAAAAAAAAAAAAA==",
    "00000000000000000000000000",
    "00000000000000000000000000000000",
    "0000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
];

/// Whole numbers; those that do not fit the type asked for are left out. Small, as a type may reserve that much.
pub(super) const NUMBERS: &[i16] = &[1, 0, 2, 10, 100, 200, 255, 2000, -1];

pub(super) const FLOATS: &[f64] = &[1.0, 0.0, 0.5, 100.0, -1.0];

pub(super) const CHARS: &[char] = &['a', 'A', '0', ' '];

/// Lengths of byte strings.
pub(super) const BYTES: &[usize] = &[16, 0, 32, 64, 1, 4, 8, 12, 20, 24, 28, 33, 48, 65, 128];

/// Lengths of lists and maps: one element shows the type; the second entry, none, shows nothing and is a last resort.
pub(super) const LENGTHS: &[usize] = &[1, 0, 2, 3, 4, 8, 16, 32];

/// Where [`LENGTHS`] says none.
pub(super) const NO_ELEMENTS: usize = 1;
