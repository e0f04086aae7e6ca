//! What the sinks have in common: a pool, options, and the table as it was found.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use sqlx::pool::PoolConnection;
use tokio::time::timeout;

use super::dialect::{Dialect, Mark};
use super::error::Failure;
use super::flush;
use super::layout::Layout;
use super::options::Options;
use super::rows::Rows;
use super::statements;
use crate::behind::{Batch, Partition, Position, SinkError, Written};

pub(super) struct Inner<D: Dialect> {
    pool: sqlx::Pool<D>,
    pub(super) options: Options,
    /// Looked at once, and again after something did not fit or was refused.
    layout: Mutex<Option<Arc<Layout>>>,
}

/// A connection that outlives what is done with it, to be given up if that takes too long.
type Held<D> = Option<PoolConnection<D>>;

// === impl Inner ===

impl<D: Dialect> Inner<D> {
    pub(super) fn new(pool: sqlx::Pool<D>, table: String) -> Self {
        Self { pool, options: Options::new(table), layout: Mutex::new(None) }
    }

    pub(super) async fn check(&self) -> Result<(), SinkError> {
        self.forget();
        let mut held = None;
        self.in_time(self.ready(&mut held)).await.map(drop).or_else(|failure| self.over(failure, &mut held))
    }

    pub(super) async fn position(&self, partition: &Partition) -> Result<Option<Position>, SinkError> {
        let mut held = None;
        self.in_time(self.find(partition, &mut held)).await.or_else(|failure| self.over(failure, &mut held))
    }

    pub(super) async fn write<T: Serialize>(&self, batch: &Batch<T>) -> Result<Vec<Written>, SinkError> {
        let mut held = None;
        self.in_time(self.commit(batch, &mut held)).await.or_else(|failure| self.over(failure, &mut held))
    }

    pub(super) async fn claim(&self, partition: &Partition, fence: u64) -> Result<Option<Position>, SinkError> {
        let mut held = None;
        self.in_time(self.take(partition, fence, &mut held)).await.or_else(|failure| self.over(failure, &mut held))
    }

    /// `None`: it took too long.
    async fn in_time<V>(&self, work: impl Future<Output = Result<V, Failure>>) -> Result<V, Option<Failure>> {
        timeout(self.options.timeout, work).await.map_or(Err(None), |done| done.map_err(Some))
    }

    /// The error for a failure, or for having waited too long.
    fn over<V>(&self, failure: Option<Failure>, held: &mut Held<D>) -> Result<V, SinkError> {
        let Some(failure) = failure else {
            held.as_mut().map(D::give_up);
            let table = self.options.quoted_table();
            let within = self.options.timeout;
            return Err(SinkError::unavailable(format!("the database of {table} was not done within {within:?}")));
        };
        if matches!(failure, Failure::Misfit(_)) {
            self.forget();
        }
        Err(failure.into())
    }

    async fn find(&self, partition: &Partition, held: &mut Held<D>) -> Result<Option<Position>, Failure> {
        self.ready(held).await?;
        let connection = self.connection(held).await?;
        let sql = statements::mark(&self.options);
        let mark = D::mark(connection, &sql, &partition.journal, partition.number).await;
        let Some((_, text)) = mark.map_err(Failure::of_all::<D>)? else { return Ok(None) };
        let table = self.options.quoted_journal();
        let none = || Failure::Misfit(format!("{table} holds the position {text:?} for {partition}, which is none"));
        // A partition that was claimed, and of which nothing is committed yet, begins where all of them do.
        Position::parse(&text).ok_or_else(none).map(|at| Some(at).filter(|at| *at > Position::default()))
    }

    async fn take(&self, partition: &Partition, fence: u64, held: &mut Held<D>) -> Result<Option<Position>, Failure> {
        self.ready(held).await?;
        let mark = mark(partition, fence, Position::default())?;
        flush::claim::<D>(self.connection(held).await?, &self.options, &mark).await?;
        self.find(partition, held).await
    }

    async fn commit<T: Serialize>(&self, batch: &Batch<T>, held: &mut Held<D>) -> Result<Vec<Written>, Failure> {
        let layout = self.ready(held).await?;
        let mark = mark(&batch.partition, batch.fence, batch.position)?;
        let Rows { rows, refused } = Rows::of::<D, T>(&layout, &batch.writes)?;
        let connection = self.connection(held).await?;
        let mut answers = flush::flush::<D>(connection, &layout, &mark, &rows).await?;
        if answers.iter().any(|(_, answer)| matches!(answer, Written::Refused(_))) {
            // It may be that a column takes more by now.
            self.forget();
        }
        answers.extend(refused.into_iter().map(|(at, reason)| (at, Written::Refused(reason))));
        answers.sort_unstable_by_key(|(at, _)| *at);
        debug_assert!(answers.iter().map(|(at, _)| *at).eq(0..batch.writes.len()), "one answer for each write");
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    /// The table, looked at if it was not yet; the journal table is there afterwards.
    async fn ready(&self, held: &mut Held<D>) -> Result<Arc<Layout>, Failure> {
        if let Some(layout) = self.known().clone() {
            return Ok(layout);
        }
        let connection = self.connection(held).await?;
        let mut found = D::inspect(connection, &self.options).await.map_err(Failure::of_all::<D>)?;
        if !found.has_journal {
            let created = D::run(connection, &statements::create_journal(&self.options)).await;
            // Two that create it at once may collide in the catalogue, `IF NOT EXISTS` or not.
            found = D::inspect(connection, &self.options).await.map_err(Failure::of_all::<D>)?;
            if !found.has_journal {
                created.map_err(Failure::of_all::<D>)?;
            }
        }
        let layout = Arc::new(Layout::of(found, &self.options).map_err(Failure::Misfit)?);
        *self.known() = Some(layout.clone());
        Ok(layout)
    }

    async fn connection<'h>(&self, held: &'h mut Held<D>) -> Result<&'h mut D::Connection, Failure> {
        if held.is_none() {
            *held = Some(self.pool.acquire().await.map_err(Failure::of_all::<D>)?);
        }
        Ok(held.as_mut().expect("put there just now"))
    }

    fn forget(&self) {
        *self.known() = None;
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Arc<Layout>>> {
        self.layout.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mark(partition: &Partition, fence: u64, position: Position) -> Result<Mark, Failure> {
    let past = |_| Failure::Misfit("the batch's fence is past a bigint".to_owned());
    Ok(Mark {
        journal: partition.journal.to_string(),
        partition: partition.number,
        fence: i64::try_from(fence).map_err(past)?,
        position: position.to_string(),
    })
}
