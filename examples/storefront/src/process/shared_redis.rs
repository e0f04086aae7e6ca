//! The Redis that was named on the command line: nothing of the tour stays in it.

use std::time::Duration;

use redis::aio::MultiplexedConnection;

use crate::Problem;

/// How long connecting, looking and cleaning may take.
const WORK_MAX: Duration = Duration::from_secs(20);
/// Keys that one step of a scan looks at.
const SCAN_COUNT: usize = 1_000;
/// The server's setting that a cache needs, and sets where it is missing.
const SETTING: &str = "notify-keyspace-events";

/// What was found before the tour, to be put back after it.
#[derive(Debug)]
pub(crate) struct SharedRedis {
    url: String,
    /// Nothing where the server does not tell.
    notifications: Option<String>,
}

// === impl SharedRedis ===

impl SharedRedis {
    /// Notes the setting that a cache may change.
    pub(crate) async fn open(url: &str) -> Result<Self, Problem> {
        let look = async {
            let mut connection = connect(url).await?;
            Ok(notifications(&mut connection).await)
        };
        let notifications = limited("look at", look).await?;
        Ok(Self { url: url.to_owned(), notifications })
    }

    /// Removes every key of `namespace`, and puts the setting back as it was.
    pub(crate) async fn clean(&self, namespace: &str) -> Result<(), Problem> {
        let work = async {
            let mut connection = connect(&self.url).await?;
            let removed = remove(&mut connection, namespace).await?;
            println!("\nCleaned up in Redis: {removed} keys of `{namespace}`.");
            let now = notifications(&mut connection).await;
            if let Some(before) = self.notifications.as_ref().filter(|before| now.as_ref() != Some(before)) {
                redis::cmd("CONFIG").arg("SET").arg(SETTING).arg(before).exec_async(&mut connection).await?;
                println!("{SETTING} is `{before}` again, as before the tour.");
            }
            Ok(())
        };
        limited("clean", work).await
    }
}

async fn connect(url: &str) -> Result<MultiplexedConnection, Problem> {
    Ok(redis::Client::open(url)?.get_multiplexed_async_connection().await?)
}

/// The setting; nothing where the server refuses to tell: then a cache cannot change it either.
async fn notifications(connection: &mut MultiplexedConnection) -> Option<String> {
    let pair = redis::cmd("CONFIG").arg("GET").arg(SETTING).query_async::<Vec<String>>(connection).await;
    pair.ok()?.into_iter().nth(1)
}

async fn remove(connection: &mut MultiplexedConnection, namespace: &str) -> Result<usize, Problem> {
    let (mut cursor, mut removed) = (0_u64, 0);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{namespace}:*")).arg("COUNT").arg(SCAN_COUNT);
        let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(connection).await?;
        if !keys.is_empty() {
            removed += redis::cmd("UNLINK").arg(keys).query_async::<usize>(connection).await?;
        }
        if next == 0 {
            return Ok(removed);
        }
        cursor = next;
    }
}

async fn limited<T>(what: &str, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    match tokio::time::timeout(WORK_MAX, work).await {
        // The text of redis-rs names no password.
        Ok(done) => done.map_err(|problem| format!("cannot {what} the Redis that was named: {problem}").into()),
        Err(_) => Err(format!("cannot {what} the Redis that was named within {WORK_MAX:?}").into()),
    }
}
