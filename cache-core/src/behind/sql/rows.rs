//! Writes as rows, and rows as the JSON that a statement takes.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::dialect::Dialect;
use super::error::Failure;
use super::fields::{Fields, fields};
use super::layout::{Column, Layout};
use crate::behind::{Increment, Operation, Write};
use crate::key::{Argument, Key, Unread};

/// A write that can be tried.
#[derive(Debug)]
pub(super) struct Row {
    /// Its place in the batch.
    pub(super) index: usize,
    pub(super) key: Key,
    pub(super) version: i64,
    /// JSON for each key column.
    pub(super) arguments: Vec<String>,
    pub(super) change: Change,
}

#[derive(Debug)]
pub(super) enum Change {
    /// The columns, but for those of the key and the version, and JSON for each.
    Put(Vec<Column>, Vec<String>),
    Delete,
    /// A JSON list of `[version, by]`.
    Add(String),
}

/// Which parts of a row a statement needs.
#[derive(Clone, Copy)]
pub(super) enum Parts<'a> {
    Key,
    /// And the values of these columns.
    Values(&'a [Column]),
    /// And the increments.
    Increments,
}

/// What the writes of a batch are: those that can be tried, and reasons why others can't, by their places.
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) refused: Vec<(usize, String)>,
}

/// Said of the increment that follows what was refused: its version would keep the write from being tried again.
pub(super) const AFTER: &str = "the write of this key before it was refused";

// === impl Rows ===

impl Rows {
    /// Makes rows of writes. Fails where the table fits no value that is put, or nothing at all; what it does not fit among others is
    /// refused.
    pub(super) fn of<D: Dialect, T: Serialize>(layout: &Layout, writes: &[Write<T>]) -> Result<Self, Failure> {
        let mut this = Self { rows: Vec::with_capacity(writes.len()), refused: Vec::new() };
        let mut keys: HashSet<&Key> = HashSet::new();
        let mut misfits: Vec<(bool, Failure)> = Vec::new();
        for (index, write) in writes.iter().enumerate() {
            let row = if keys.contains(&write.key) {
                Err(Failure::Refused(AFTER.to_owned()))
            } else {
                Row::of::<D, T>(layout, index, write)
            };
            match row {
                Ok(row) => this.rows.push(row),
                Err(Failure::Refused(reason) | Failure::Misfit(reason)) if keys.contains(&write.key) => {
                    this.refused.push((index, reason));
                }
                Err(failure) => {
                    keys.insert(&write.key);
                    let (Failure::Refused(reason) | Failure::Misfit(reason)) = &failure else { return Err(failure) };
                    this.refused.push((index, reason.clone()));
                    if matches!(failure, Failure::Misfit(_)) {
                        misfits.push((matches!(write.operation, Operation::Put(_)), failure));
                    }
                }
            }
        }
        let fits = |is_put: bool| this.rows.iter().any(|row| !is_put || matches!(row.change, Change::Put(..)));
        match misfits.into_iter().find(|(is_put, _)| !fits(*is_put)) {
            Some((_, failure)) => Err(failure),
            None => Ok(this),
        }
    }
}

// === impl Row ===

impl Row {
    fn of<D: Dialect, T: Serialize>(layout: &Layout, index: usize, write: &Write<T>) -> Result<Self, Failure> {
        let arguments = arguments::<D>(layout, &write.key)?;
        let version =
            i64::try_from(write.version).map_err(|_| Failure::Refused("its version is past a bigint".to_owned()))?;
        let change = match &write.operation {
            Operation::Put(value) => put::<D>(layout, value)?,
            Operation::Delete => Change::Delete,
            Operation::Increment(increments) => {
                if layout.options.counter.is_none() {
                    let table = layout.options.quoted_table();
                    return Err(Failure::Misfit(format!(
                        "an increment came to the sink of {table}, which has no counter: `.counter_column(\"views\")`"
                    )));
                }
                Change::Add(list(increments))
            }
        };
        Ok(Self { index, key: write.key.clone(), version, arguments, change })
    }
}

/// JSON for each key column: text that the database casts.
fn arguments<D: Dialect>(layout: &Layout, key: &Key) -> Result<Vec<String>, Failure> {
    let template = layout.template.text();
    let arguments = layout.template.read(key).map_err(|why| {
        Failure::Refused(match why {
            Unread::Shortened => {
                "its key was too long to be kept as it was, and what it was made of is lost: shorten what \
                                  the key is made of"
                    .to_owned()
            }
            Unread::Stranger => format!("its key is none that `{template}` makes"),
        })
    })?;
    let json = |(argument, column): (Argument, &Column)| {
        let refused = |why: &str| Failure::Refused(format!("the key's argument for {}: {why}", column.name));
        let json = match argument {
            Argument::Boolean(yes) => yes.to_string(),
            Argument::Text(text) => serde_json::Value::String(text).to_string(),
            Argument::Nothing => return Err(refused("it is nothing, by which no row can be found")),
            Argument::Compound => return Err(refused("it has parts, and a column takes one")),
        };
        D::garbles(&json, column).map_or(Ok(json), |why| Err(refused(why)))
    };
    arguments.into_iter().zip(&layout.keys).map(json).collect()
}

/// The columns of a value, in a settled order.
fn put<D: Dialect>(layout: &Layout, value: &impl Serialize) -> Result<Change, Failure> {
    let unwritable =
        |error: serde_json::Error| Failure::Refused(format!("the value is not to be had as JSON: {error}"));
    let options = &layout.options;
    let mut named: Vec<(&str, String)> = Vec::new();
    let taken;
    if let Some(column) = &options.value {
        named.push((column, serde_json::to_string(value).map_err(unwritable)?));
    } else {
        let Fields::Named(fields) = fields(value).map_err(unwritable)? else {
            let table = options.quoted_table();
            return Err(Failure::Misfit(format!(
                "a value for {table} is no struct and no map, so that it has no columns: `.value_column(\"name\")`"
            )));
        };
        taken = fields;
        let is_own = |name: &str| name == options.version || layout.keys.iter().any(|key| key.name == name);
        named.extend(
            taken.iter().filter(|(name, _)| !is_own(name)).map(|(name, json)| (&**name, json.get().to_owned())),
        );
        if let Some(columns) = &options.columns {
            if let Some((stranger, _)) = named.iter().find(|(name, _)| !columns.iter().any(|column| column == name)) {
                let table = options.quoted_table();
                return Err(Failure::Misfit(format!(
                    "`columns` of the sink of {table} lacks the value's field {stranger:?}"
                )));
            }
            let lacking = columns.iter().filter(|column| !is_own(column) && !taken.contains_key(*column));
            named.extend(lacking.map(|column| (&**column, "null".to_owned())));
        }
    }
    // What was added before a put is gone with it. In a journal the two are one change, or two, as it comes.
    if let Some(counter) = &options.counter
        && !named.iter().any(|(name, _)| name == counter)
    {
        named.push((counter, "0".to_owned()));
    }
    let (mut columns, mut values) = (Vec::with_capacity(named.len()), Vec::with_capacity(named.len()));
    for (name, json) in named {
        let column = layout.column(name).map_err(Failure::Misfit)?;
        if let Some(why) = D::garbles(&json, column) {
            return Err(Failure::Refused(format!("the value's field {name}: {why}")));
        }
        columns.push(column.clone());
        values.push(json);
    }
    Ok(Change::Put(columns, values))
}

fn list(increments: &[Increment]) -> String {
    let mut json = String::from("[");
    for (at, Increment { version, by }) in increments.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(json, "{comma}[{version},{by}]");
    }
    json.push(']');
    json
}

// === impl Parts ===

impl Parts<'_> {
    /// The columns of `r`: `i` the place in the list, `v` the version, `k0`.. the key, `c0`.. the values, `d` the increments. Names
    /// of its own, so that they meet none of the table's.
    pub(super) fn columns(self, layout: &Layout) -> Vec<Column> {
        let mut columns = vec![Column::new("i", "bigint"), Column::new("v", "bigint")];
        let numbered = |letter: char, of: &[Column]| -> Vec<Column> {
            of.iter().enumerate().map(|(at, column)| Column::new(format!("{letter}{at}"), &*column.kind)).collect()
        };
        columns.extend(numbered('k', &layout.keys));
        match self {
            Self::Key => {}
            Self::Values(values) => columns.extend(numbered('c', values)),
            Self::Increments => columns.push(Column::new("d", "jsonb")),
        }
        columns
    }

    /// The rows as JSON.
    pub(super) fn json<'r>(self, rows: impl IntoIterator<Item = &'r Row>) -> String {
        let mut json = String::from("[");
        for (at, row) in rows.into_iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(json, "{comma}{{\"i\":{at},\"v\":{}", row.version);
            for (at, argument) in row.arguments.iter().enumerate() {
                let _ = write!(json, ",\"k{at}\":{argument}");
            }
            match (self, &row.change) {
                (Self::Values(_), Change::Put(_, values)) => {
                    for (at, value) in values.iter().enumerate() {
                        let _ = write!(json, ",\"c{at}\":{value}");
                    }
                }
                (Self::Increments, Change::Add(increments)) => {
                    let _ = write!(json, ",\"d\":{increments}");
                }
                _ => {}
            }
            json.push('}');
        }
        json.push(']');
        json
    }
}
