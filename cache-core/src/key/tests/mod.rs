//! Tests of keys: the golden table, injectivity, reading back, the parts that a caller sees.

mod behaviour;
mod golden;
mod injective;
mod reading;
mod samples;
mod words;
