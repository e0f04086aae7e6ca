//! Holds a Redis, or with the word `postgres` a PostgreSQL, and does nothing else: for the tests that kill their holder with -9 and
//! look whether the server goes too. Prints one line: process id, port, directory.

#![allow(clippy::print_stdout, reason = "the line is what the test reads")]

use tests::{PostgresServer, RedisServer};

#[tokio::main]
async fn main() {
    if std::env::args().nth(1).as_deref() == Some("postgres") {
        let postgres = PostgresServer::start().await;
        let id = postgres.id().expect("it has just been started");
        println!("{id} {} {}", postgres.address().port(), postgres.directory().display());
        std::future::pending::<()>().await;
    }
    let redis = RedisServer::start().await;
    let id = redis.id().expect("it has just been started");
    println!("{id} {} {}", redis.address().port(), redis.directory().display());
    std::future::pending::<()>().await;
}
