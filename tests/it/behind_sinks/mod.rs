//! The sinks that write to tables, against real databases: what the port promises, of both; what is one's own, of each.

mod database;
mod fitting;
mod model;
mod postgres;
mod promises;
mod rows;
mod sqlite;
