//! A batch in one transaction: the fence, then the rows.
//!
//! All rows of a kind go in one statement. If the database refuses one of them, the transaction is begun again, and the batch is
//! halved under savepoints until what is refused stands alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::dialect::{Dialect, Mark};
use super::error::Failure;
use super::layout::{Column, Layout};
use super::options::Options;
use super::rows::{AFTER, Change, Parts, Row};
use super::statements;
use crate::behind::{SinkError, Written};
use crate::key::Key;

/// Answers by places in the batch.
type Answers = Vec<(usize, Written)>;

/// A transaction under way.
struct Flush<'f, D: Dialect> {
    connection: &'f mut D::Connection,
    layout: &'f Layout,
}

/// Writes rows, and the mark with them, or nothing.
pub(super) async fn flush<D: Dialect>(
    connection: &mut D::Connection,
    layout: &Layout,
    mark: &Mark,
    rows: &[Row],
) -> Result<Answers, Failure> {
    match attempt::<D>(connection, layout, mark, rows, false).await {
        Err(Failure::Refused(_)) => attempt::<D>(connection, layout, mark, rows, true).await,
        done => done,
    }
}

/// Says of a refusal that nobody knows the row of that nothing was written.
fn of_nobody(failure: Failure) -> Failure {
    match failure {
        Failure::Refused(text) => Failure::Sink(SinkError::unavailable(format!("at the commit: {text}"))),
        other => other,
    }
}

async fn attempt<D: Dialect>(
    connection: &mut D::Connection,
    layout: &Layout,
    mark: &Mark,
    rows: &[Row],
    one_by_one: bool,
) -> Result<Answers, Failure> {
    // Dropped before the commit, by an error or with the caller, it is rolled back.
    let mut transaction = D::begin(connection).await.map_err(Failure::of_all::<D>)?;
    D::bound(&mut transaction, &layout.options).await.map_err(Failure::of_all::<D>)?;
    raise::<D>(&mut transaction, &layout.options, &statements::raise(&layout.options), mark).await?;
    let mut flush = Flush::<D> { connection: &mut transaction, layout };
    let answers = if one_by_one { flush.halve(rows).await } else { flush.write(rows).await };
    let answers = match answers {
        Ok(answers) => answers,
        Err(failure) => {
            // Now, not when the connection is used next. If it can't be had, the connection goes, and the transaction with it.
            let _ = transaction.rollback().await;
            return Err(failure);
        }
    };
    // A constraint that waits for the commit speaks here, of no row.
    let done = transaction.commit().await.map_err(Failure::of::<D>);
    done.map_err(|failure| if one_by_one { of_nobody(failure) } else { failure })?;
    Ok(answers)
}

/// Raises the fence for a new owner, and leaves the position.
pub(super) async fn claim<D: Dialect>(
    connection: &mut D::Connection,
    options: &Options,
    mark: &Mark,
) -> Result<(), Failure> {
    raise::<D>(connection, options, &statements::claim(options), mark).await
}

/// Raises the fence, or says that a later owner has.
async fn raise<D: Dialect>(
    connection: &mut D::Connection,
    options: &Options,
    sql: &str,
    mark: &Mark,
) -> Result<(), Failure> {
    let raised = D::raise(connection, sql, mark.clone()).await;
    if raised.map_err(Failure::of_all::<D>)? > 0 {
        return Ok(());
    }
    let now = D::mark(connection, &statements::mark(options), &mark.journal, mark.partition).await;
    Err(Failure::Sink(match now.map_err(Failure::of_all::<D>)? {
        Some((fence, _)) => SinkError::Fenced(number(fence)),
        None => SinkError::unavailable(format!("{} takes no fence", options.quoted_journal())),
    }))
}

/// Whether each of these rows was changed.
fn all(rows: &[&Row], changed: u64) -> Result<(), Failure> {
    if changed == rows.len() as u64 {
        return Ok(());
    }
    let why =
        "the database left the row as it was: a trigger or a rule stands before it, or somebody else wrote it just now";
    Err(Failure::Refused(why.to_owned()))
}

fn number(of_database: i64) -> u64 {
    u64::try_from(of_database).unwrap_or_default()
}

// === impl Flush ===

impl<D: Dialect> Flush<'_, D> {
    /// Writes what the database takes of these rows.
    async fn halve(&mut self, rows: &[Row]) -> Result<Answers, Failure> {
        if let Some(sql) = D::AT_ONCE {
            self.run(sql).await?;
        }
        let mut answers = Vec::with_capacity(rows.len());
        let mut refused: HashSet<&Key> = HashSet::new();
        let mut left: Vec<&[Row]> = vec![rows];
        while let Some(rows) = left.pop() {
            if let [row] = rows
                && refused.contains(&row.key)
            {
                answers.push((row.index, Written::Refused(AFTER.to_owned())));
                continue;
            }
            // What is refused alone holds up what comes after it: only those of its key, which is at most one more.
            if let Some(at) = rows.iter().position(|row| refused.contains(&row.key)) {
                let (before, after) = rows.split_at(at);
                left.extend([&after[1..], &after[..1], before].into_iter().filter(|rows| !rows.is_empty()));
                continue;
            }
            self.run("SAVEPOINT cache_rows").await?;
            match self.write(rows).await {
                Ok(written) => answers.extend(written),
                Err(Failure::Refused(reason)) => {
                    self.run("ROLLBACK TO SAVEPOINT cache_rows").await?;
                    if let [row] = rows {
                        let answer = self.refused(row, reason).await?;
                        if matches!(answer, Written::Refused(_)) {
                            refused.insert(&row.key);
                        }
                        answers.push((row.index, answer));
                    } else {
                        let (before, after) = rows.split_at(rows.len() / 2);
                        left.extend([after, before]);
                    }
                }
                Err(failure) => return Err(failure),
            }
            self.run("RELEASE SAVEPOINT cache_rows").await?;
        }
        Ok(answers)
    }

    /// What to say of a row that was not written: somebody may have put a newer one there at this moment.
    async fn refused(&mut self, row: &Row, reason: String) -> Result<Written, Failure> {
        self.run("SAVEPOINT cache_look").await?;
        let versions = match self.look(&[row]).await {
            Ok(versions) => versions,
            Err(Failure::Refused(_)) => {
                self.run("ROLLBACK TO SAVEPOINT cache_look").await?;
                HashMap::new()
            }
            Err(failure) => return Err(failure),
        };
        self.run("RELEASE SAVEPOINT cache_look").await?;
        Ok(match versions.get(&0) {
            Some(version) if *version >= row.version => Written::Newer(number(*version)),
            _ => Written::Refused(reason),
        })
    }

    /// Writes all of these rows, or none counts.
    async fn write(&mut self, rows: &[Row]) -> Result<Answers, Failure> {
        let mut answers = Vec::with_capacity(rows.len());
        let (adds, others): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| matches!(row.change, Change::Add(_)));
        if !others.is_empty() {
            self.replace(&others, &mut answers).await?;
        }
        // After: an increment of a key follows its put.
        if !adds.is_empty() {
            self.add(&adds, &mut answers).await?;
        }
        Ok(answers)
    }

    async fn replace(&mut self, rows: &[&Row], answers: &mut Answers) -> Result<(), Failure> {
        let versions = self.look(rows).await?;
        let mut gone = Vec::new();
        let mut puts: BTreeMap<&[Column], Vec<&Row>> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            let answer = match versions.get(&at) {
                Some(version) if *version >= row.version => Written::Newer(number(*version)),
                _ => Written::Applied,
            };
            match &row.change {
                Change::Put(columns, _) if answer == Written::Applied => puts.entry(columns).or_default().push(row),
                Change::Delete if answer == Written::Applied && versions.contains_key(&at) => gone.push(*row),
                _ => {}
            }
            answers.push((row.index, answer));
        }
        // First: what is deleted may make room for what is put.
        if !gone.is_empty() {
            let sql = statements::delete::<D>(self.layout);
            self.change(&sql, Parts::Key, &gone).await?;
        }
        for (columns, rows) in puts {
            let changed = D::put(self.connection, self.layout, columns, &rows).await;
            all(&rows, changed.map_err(Failure::of::<D>)?)?;
        }
        Ok(())
    }

    async fn add(&mut self, rows: &[&Row], answers: &mut Answers) -> Result<(), Failure> {
        let counter =
            self.layout.options.counter.as_deref().expect("rows with increments are made for a sink with a counter");
        let versions = self.look(rows).await?;
        let (mut missing, mut lower) = (Vec::new(), Vec::new());
        for (at, row) in rows.iter().enumerate() {
            let answer = match versions.get(&at) {
                Some(version) if *version >= row.version => Written::Newer(number(*version)),
                _ => Written::Applied,
            };
            if answer == Written::Applied {
                lower.push(*row);
                if !versions.contains_key(&at) {
                    missing.push(*row);
                }
            }
            answers.push((row.index, answer));
        }
        if !missing.is_empty() {
            let sql = statements::create::<D>(self.layout, counter);
            let rows = Parts::Key.json(missing.iter().copied());
            // Not counted: one that somebody has just created is as good.
            D::change(self.connection, &sql, rows).await.map_err(Failure::of::<D>)?;
        }
        if !lower.is_empty() {
            let sql = statements::add::<D>(self.layout, counter);
            self.change(&sql, Parts::Increments, &lower).await?;
        }
        Ok(())
    }

    /// The versions of the rows that there are, by their places in the list.
    async fn look(&mut self, rows: &[&Row]) -> Result<HashMap<usize, i64>, Failure> {
        let sql = statements::look::<D>(self.layout);
        let found = D::look(self.connection, &sql, Parts::Key.json(rows.iter().copied())).await;
        let found = found.map_err(Failure::of::<D>)?;
        Ok(found.into_iter().filter_map(|(at, version)| Some((usize::try_from(at).ok()?, version))).collect())
    }

    /// Has a statement change each of these rows.
    async fn change(&mut self, sql: &str, parts: Parts<'_>, rows: &[&Row]) -> Result<(), Failure> {
        let changed = D::change(self.connection, sql, parts.json(rows.iter().copied())).await;
        all(rows, changed.map_err(Failure::of::<D>)?)
    }

    async fn run(&mut self, sql: &str) -> Result<(), Failure> {
        D::run(self.connection, sql).await.map_err(Failure::of_all::<D>)
    }
}
