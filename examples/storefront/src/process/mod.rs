//! Programs that the tour starts, and the one that it finds. What it starts is killed when its handle is dropped, so that
//! nothing outlives the tour, whatever ends it.

mod node;
mod redis_server;
mod shared_redis;

pub(crate) use node::{Node, NodeOptions};
pub(crate) use redis_server::{RedisServer, Restore};
pub(crate) use shared_redis::SharedRedis;
