//! The catalogue: what a product is, the SQLite file it lives in, and the repository that reads and writes it.
//!
//! Only [`repository`] knows that there is a cache.

pub(crate) mod database;
pub(crate) mod failure;
pub(crate) mod model;
mod queries;
pub(crate) mod repository;
mod seed;

pub(crate) use failure::Failure;
pub(crate) use repository::Repository;
