//! `key!` and the derive.

use cache_core::{Key, KeyPart, key};

fn not_text() -> Key {
    key!(7)
}

fn no_head(id: u64) -> Key {
    key!("{id}")
}

fn an_argument_outside(id: u64) -> Key {
    key!("product:{}", id)
}

fn an_argument_behind(id: u64) -> Key {
    key!("product:{id}", id)
}

#[derive(KeyPart)]
union Either {
    a: u32,
    b: f32,
}

#[derive(KeyPart)]
#[key_part(skip)]
struct Skipping {
    a: u32,
    b: u32,
}

fn main() {}
