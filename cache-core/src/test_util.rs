//! For simulations: a cache over streams of one's own, in the time of the runtime, whose chance can be repeated.
//!
//! Behind the feature `test-util`, which is for tests alone.

pub use crate::{
    chance::repeatable,
    remote::redis::dial::{BoxWire, Dial, Dialled, Wire},
};
