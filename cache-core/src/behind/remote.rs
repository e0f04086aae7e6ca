//! A journal in Redis.

use std::{sync::Arc, time::Duration};

use crate::{
    error::{Error, ErrorKind},
    journal::{Answers, Journal, JournalOp},
    tier::{Op, RemoteTier, Reply},
};

/// A journal in the cache's own Redis.
pub(super) struct RemoteJournal {
    pub(super) remote: Arc<dyn RemoteTier>,
    /// How long an answer may take.
    pub(super) patience: Duration,
}

impl Journal for RemoteJournal {
    fn ask(&self, ops: Vec<JournalOp>) -> Answers<'_> {
        Box::pin(async move {
            let asked = self.remote.run(ops.into_iter().map(Op::Journal).collect());
            let late = || Error::new(ErrorKind::Timeout, "journal", format!("no answer within {:?}", self.patience));
            let replies = tokio::time::timeout(self.patience, asked).await.map_err(|_| late())??;
            let said = replies.into_iter().map(|reply| match reply {
                Reply::Journal(said) => Ok(said),
                Reply::Failed(error) => Err(error),
                _ => Err(Error::new(ErrorKind::Remote, "journal", "an answer to another question")),
            });
            Ok(said.collect())
        })
    }
}
