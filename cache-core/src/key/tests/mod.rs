//! Tests of keys: the golden table, injectivity, reading back, the parts that a caller sees.

mod behaviour;
mod golden;
mod injective;
mod reading;
mod samples;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod template;
mod words;
