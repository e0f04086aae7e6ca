//! An argument that can't stand in a key is one error, at the template, or at the argument where there is none.

use std::collections::HashMap;

use cache_core::{KeyPart, cacheable, key};

#[cacheable(key = "near:{at}")]
async fn a_float(at: f64) -> u64 {
    at as u64
}

#[cacheable]
async fn a_map(counts: HashMap<String, u32>) -> usize {
    counts.len()
}

#[derive(KeyPart)]
struct Near {
    at: f64,
    id: u64,
}

fn by_hand(at: f64) -> cache_core::Key {
    key!("near:{at}")
}

fn main() {}
