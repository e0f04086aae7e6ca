//! Asking sentinels where the primary of a service is
//! (<https://redis.io/docs/latest/develop/reference/sentinel-clients/>).

use std::sync::atomic::{AtomicUsize, Ordering};

use super::connect::Target;
use crate::error::{Error, ErrorKind};

/// The sentinels of one service.
pub(crate) struct Sentinels {
    sentinels: Vec<Target>,
    service: String,
    /// How its nodes are reached, but for their address.
    pub(crate) nodes: Target,
    /// The one that answered last is asked first.
    next: AtomicUsize,
}

impl Sentinels {
    pub(crate) fn new(sentinels: Vec<Target>, service: String, nodes: Target) -> Self {
        Self { sentinels, service, nodes, next: AtomicUsize::new(0) }
    }

    /// Where the primary is, by the first sentinel that says so.
    ///
    /// # Errors
    ///
    /// When none answers, and when those that answer do not know the service.
    pub(crate) async fn primary(&self) -> Result<Target, Error> {
        let first = self.next.load(Ordering::Relaxed);
        let mut last = None;
        for step in 0..self.sentinels.len() {
            let index = (first + step) % self.sentinels.len();
            // The next one's turn, unless this one answers: whoever asks may have given up by then.
            self.next.store(index + 1, Ordering::Relaxed);
            match self.ask(&self.sentinels[index]).await {
                Ok(primary) => {
                    self.next.store(index, Ordering::Relaxed);
                    return Ok(primary);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::config("sentinel", "no sentinel was named")))
    }

    async fn ask(&self, sentinel: &Target) -> Result<Target, Error> {
        let mut connection = sentinel.open(|_| {}).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        let answer: Result<Option<(String, u16)>, Error> =
            sentinel.step("SENTINEL", question.query_async(&mut connection)).await;
        let answer = answer.map_err(|error| match error.kind() {
            ErrorKind::Remote => {
                let detail = format!("{} is no sentinel: name one server with `Redis::server`", sentinel.address());
                Error::caused(ErrorKind::Config, "sentinel", detail, error)
            }
            _ => error,
        })?;
        let Some((host, port)) = answer else {
            let detail = format!("the sentinel at {} does not know the service `{}`", sentinel.address(), self.service);
            return Err(Error::new(ErrorKind::Config, "sentinel", detail));
        };
        Ok(self.nodes.at(&host, port))
    }
}
