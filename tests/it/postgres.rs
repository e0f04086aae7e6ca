//! The fixture of PostgreSQL is held to what it promises.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tests::{PostgresServer, eventually};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(30);

async fn is_reachable(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).await.is_ok()
}

async fn count(server: &PostgresServer) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM kept").fetch_one(&server.pool().await).await.unwrap()
}

#[tokio::test]
async fn server_restarts_with_its_data_stopped_or_killed() {
    for options in [PostgresServer::options(), PostgresServer::options().durable().set("max_connections=9")] {
        let server = options.start().await;
        sqlx::raw_sql("CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)")
            .execute(&server.pool().await)
            .await
            .unwrap();
        server.stop().await;
        assert!(!is_reachable(server.address().port()).await);
        server.restart().await;
        assert_eq!(count(&server).await, 1);
        server.kill().await;
        assert!(!is_reachable(server.address().port()).await);
        server.restart().await;
        assert_eq!(count(&server).await, 1);
    }
}

#[tokio::test]
async fn server_dropped_is_gone_running_or_killed() {
    for is_killed in [false, true] {
        let server = PostgresServer::start().await;
        let (id, port, directory) = (server.id().unwrap(), server.address().port(), server.directory().to_owned());
        assert!(directory.exists());
        if is_killed {
            server.kill().await;
        }
        drop(server);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
        assert!(!is_reachable(port).await);
        assert!(!directory.exists());
    }
}

#[tokio::test]
async fn owner_killed_takes_its_server_along() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_holder")).arg("postgres").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(owner.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let (id, port, directory) = (words[0], words[1].parse().unwrap(), PathBuf::from(words[2]));
    assert!(is_reachable(port).await);
    owner.kill().unwrap();
    owner.wait().unwrap();
    let process = PathBuf::from(format!("/proc/{id}"));
    eventually(SOON, async || !process.exists() && !directory.exists() && !is_reachable(port).await).await;
}
