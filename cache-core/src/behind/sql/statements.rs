//! The statements, of which there is one for each kind of change.

use super::dialect::Dialect;
use super::layout::{Column, Layout};
use super::options::{Options, quoted};
use super::rows::Parts;

/// Creates the journal table.
pub(super) fn create_journal(options: &Options) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (\"journal\" text NOT NULL, \"partition\" integer NOT NULL, \"fence\" bigint NOT NULL, \
         \"position\" text NOT NULL, PRIMARY KEY (\"journal\", \"partition\"))",
        options.quoted_journal()
    )
}

/// Raises the fence, and locks its row against other flushers until the commit.
pub(super) fn raise(options: &Options) -> String {
    format!(
        "INSERT INTO {} AS j (\"journal\", \"partition\", \"fence\", \"position\") VALUES ($1, $2, $3, $4) \
         ON CONFLICT (\"journal\", \"partition\") DO UPDATE SET \"fence\" = EXCLUDED.\"fence\", \"position\" = EXCLUDED.\"position\" \
         WHERE j.\"fence\" <= EXCLUDED.\"fence\"",
        options.quoted_journal()
    )
}

/// Raises the fence alone.
pub(super) fn claim(options: &Options) -> String {
    format!(
        "INSERT INTO {} AS j (\"journal\", \"partition\", \"fence\", \"position\") VALUES ($1, $2, $3, $4) \
         ON CONFLICT (\"journal\", \"partition\") DO UPDATE SET \"fence\" = EXCLUDED.\"fence\" WHERE j.\"fence\" <= EXCLUDED.\"fence\"",
        options.quoted_journal()
    )
}

/// The fence and the position.
pub(super) fn mark(options: &Options) -> String {
    format!(
        "SELECT \"fence\", \"position\" FROM {} WHERE \"journal\" = $1 AND \"partition\" = $2",
        options.quoted_journal()
    )
}

/// The versions of the rows that there are, which are locked.
pub(super) fn look<D: Dialect>(layout: &Layout) -> String {
    format!(
        "SELECT r.i, CAST({} AS bigint) FROM {} CROSS JOIN {} AS t WHERE {} {}",
        version(layout),
        D::source(&Parts::Key.columns(layout)),
        layout.options.quoted_table(),
        found(layout),
        D::LOCK
    )
}

/// Inserts rows, or updates those of lower versions: with what `from` gives for the key, these columns, and the version.
pub(super) fn put<D: Dialect>(layout: &Layout, columns: &[Column], from: &str) -> String {
    let own = quoted(&layout.options.version);
    let values = || columns.iter().map(|column| quoted(&column.name));
    let names: Vec<String> = keys(layout).into_iter().chain(values()).chain([own.clone()]).collect();
    let updates: Vec<String> = values().chain([own.clone()]).map(|name| format!("{name} = EXCLUDED.{name}")).collect();
    format!(
        "INSERT INTO {} AS t ({}) {} {from} ON CONFLICT ({}) DO UPDATE SET {} WHERE {} < EXCLUDED.{own}",
        layout.options.quoted_table(),
        names.join(", "),
        D::OVERRIDING,
        keys(layout).join(", "),
        updates.join(", "),
        version(layout),
    )
}

/// Deletes rows of lower versions.
pub(super) fn delete<D: Dialect>(layout: &Layout) -> String {
    let table = layout.options.quoted_table();
    let rows: Vec<String> = keys(layout).iter().map(|key| format!("t.{key}")).collect();
    format!(
        "DELETE FROM {table} WHERE ({}) IN (SELECT {} FROM {} CROSS JOIN {table} AS t WHERE {} AND {} < r.v)",
        keys(layout).join(", "),
        rows.join(", "),
        D::source(&Parts::Key.columns(layout)),
        found(layout),
        version(layout),
    )
}

/// Creates rows whose counter is 0.
pub(super) fn create<D: Dialect>(layout: &Layout, counter: &str) -> String {
    let parts: Vec<String> = (0..layout.keys.len()).map(|at| format!("r.k{at}")).collect();
    format!(
        "INSERT INTO {} AS t ({}, {}, {}) {} SELECT {}, 0, 0 FROM {} WHERE true ORDER BY r.i ON CONFLICT ({}) DO NOTHING",
        layout.options.quoted_table(),
        keys(layout).join(", "),
        quoted(counter),
        quoted(&layout.options.version),
        D::OVERRIDING,
        parts.join(", "),
        D::source(&Parts::Key.columns(layout)),
        keys(layout).join(", "),
    )
}

/// Adds the increments that are above the rows' versions, and raises those.
pub(super) fn add<D: Dialect>(layout: &Layout, counter: &str) -> String {
    format!(
        "UPDATE {} AS t SET {} = {}, {} = r.v FROM {} WHERE {} AND {} < r.v",
        layout.options.quoted_table(),
        quoted(counter),
        D::sum(&quoted(counter), &version(layout)),
        quoted(&layout.options.version),
        D::source(&Parts::Increments.columns(layout)),
        found(layout),
        version(layout),
    )
}

fn keys(layout: &Layout) -> Vec<String> {
    layout.keys.iter().map(|key| quoted(&key.name)).collect()
}

/// A row's version. One without is older than everything.
fn version(layout: &Layout) -> String {
    format!("coalesce(t.{}, 0)", quoted(&layout.options.version))
}

/// Whether `t` is the row of `r`.
fn found(layout: &Layout) -> String {
    let equal: Vec<String> = keys(layout).iter().enumerate().map(|(at, key)| format!("t.{key} = r.k{at}")).collect();
    equal.join(" AND ")
}
