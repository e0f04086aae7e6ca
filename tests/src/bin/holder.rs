//! Holds a Redis and does nothing else, for the test that kills its holder with -9 and looks whether the server goes too.
//! Prints one line: process id, port, directory.

#![allow(clippy::print_stdout, reason = "the line is what the test reads")]

use tests::RedisServer;

#[tokio::main]
async fn main() {
    let redis = RedisServer::start().await;
    let id = redis.id().expect("it has just been started");
    println!("{id} {} {}", redis.address().port(), redis.directory().display());
    std::future::pending::<()>().await;
}
