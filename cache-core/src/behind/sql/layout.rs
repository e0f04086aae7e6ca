//! The table as it is, held against what the sink was told.

use super::options::{Options, quoted};
use crate::key::Template;

/// A column of a relation, and its type as the database writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: String,
}

/// What a database says of a table.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// None: there is no such table.
    pub(super) columns: Vec<Column>,
    /// The columns of each unique index over whole rows, the primary key among them.
    pub(super) uniques: Vec<Vec<String>>,
    pub(super) has_journal: bool,
    /// Whether a type bounds what its columns hold. SQLite's are but words.
    pub(super) is_strict: bool,
}

/// A table that fits.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) template: Template,
    pub(super) columns: Vec<Column>,
    pub(super) keys: Vec<Column>,
    pub(super) options: Options,
}

// === impl Column ===

impl Column {
    pub(super) fn new(name: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { name: name.into(), kind: kind.into() }
    }
}

// === impl Layout ===

impl Layout {
    /// Holds a table against the options. What does not fit is said with the way out.
    pub(super) fn of(found: Found, options: &Options) -> Result<Self, String> {
        let table = options.quoted_table();
        if found.columns.is_empty() {
            return Err(format!("there is no table {table}: create it, or look at the name and the schema"));
        }
        let template = match &options.keyed_by {
            Some(template) => template.clone()?,
            None => return Err(format!("the sink of {table} is not told its key: `.keyed_by(\"product:{{id}}\")`")),
        };
        let column = |name: &str| found.columns.iter().find(|column| column.name == name);
        let missing = |name: &str, role: &str, kind: &str| {
            let there: Vec<String> = found.columns.iter().map(|column| quoted(&column.name)).collect();
            let name = quoted(name);
            format!(
                "the table {table} has no column {name}, {role}: \
                 ALTER TABLE {table} ADD COLUMN {name} {kind}; it has {}",
                there.join(", ")
            )
        };

        let version = column(&options.version)
            .ok_or_else(|| missing(&options.version, "the version of a row", "bigint NOT NULL DEFAULT 0"))?;
        if matches!(version.kind.as_str(), "integer" | "smallint") && found.is_strict {
            let name = quoted(&options.version);
            return Err(format!(
                "the column {name} of {table} is too narrow for a version: ALTER TABLE {table} ALTER COLUMN {name} TYPE bigint"
            ));
        }
        let names: Vec<&str> = template.names().collect();
        if names.is_empty() {
            return Err(format!("the key template `{}` names no column of {table}: `product:{{id}}`", template.text()));
        }
        let mut keys = Vec::new();
        for name in &names {
            keys.push(column(name).ok_or_else(|| missing(name, "which the key names", ".."))?.clone());
        }
        let is_key = |unique: &Vec<String>| {
            unique.len() == names.len() && names.iter().all(|name| unique.iter().any(|it| it == name))
        };
        if !found.uniques.iter().any(is_key) {
            let list = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
            return Err(format!(
                "the table {table} has no primary key or unique index over exactly ({list}), by which the rows are found: \
                 CREATE UNIQUE INDEX {} ON {table} ({list})",
                quoted(&format!("{}_key", options.table))
            ));
        }
        let roles =
            [(&options.counter, "the counter", "bigint NOT NULL DEFAULT 0"), (&options.value, "the value", "..")];
        for (name, role, kind) in roles {
            if let Some(name) = name
                && column(name).is_none()
            {
                return Err(missing(name, role, kind));
            }
        }
        let unknown = options.columns.iter().flatten().find(|name| column(name).is_none());
        if let Some(name) = unknown {
            return Err(missing(name, "which `columns` names", ".."));
        }
        Ok(Self { template, keys, columns: found.columns, options: options.clone() })
    }

    /// The column of a value's field.
    pub(super) fn column(&self, name: &str) -> Result<&Column, String> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            let (table, name) = (self.options.quoted_table(), quoted(name));
            format!(
                "the table {table} has no column for the value's field {name}: ALTER TABLE {table} ADD COLUMN {name} .., \
                 or take the field out of what is written (`#[serde(skip)]`)"
            )
        })
    }
}
