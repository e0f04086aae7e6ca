//! `cache-core`'s modules import in one direction, and only the composition names adapters.

use crate::tokens::{self, What};
use crate::tree::{self, File};
use crate::{ADAPTERS, Finding, ROWS, WHO_NAMES_ADAPTERS, assert_bites, assert_none};

/// Where a module stands: its row, and its place in it. `Ord` is the order of imports.
type Place = (usize, usize);

fn place_of(module: &str) -> Option<Place> {
    ROWS.iter().enumerate().find_map(|(row, (_, names))| Some((row, names.iter().position(|name| *name == module)?)))
}

fn row_of(place: Place) -> &'static str {
    ROWS[place.0].0
}

fn check(file: &File) -> Vec<Finding> {
    let home = tokens::module_of(&file.path).into_iter().next().unwrap_or_else(|| "lib".to_owned());
    let Some(here) = place_of(&home) else {
        return vec![Finding::new(
            file,
            1,
            format!("`{home}` has no place in the order: give it one in tests/tidy/main.rs"),
        )];
    };
    let seen = tokens::read(file).unwrap_or_default();
    seen.iter()
        .filter(|it| !it.tested)
        .filter_map(|it| match &it.what {
            What::Path(path) => Some((it.line, judge(&home, here, path.first()?)?)),
            _ => None,
        })
        .map(|(line, says)| Finding::new(file, line, says))
        .collect()
}

/// Why a file of `home` may not name `target`, if it may not.
fn judge(home: &str, here: Place, target: &str) -> Option<String> {
    if target == home || home == "lib" {
        return None;
    }
    let Some(there) = place_of(target) else {
        return Some(format!(
            "`crate::{target}` has no place in the order: a module gets one in tests/tidy/main.rs, and what the crate's root \
             re-exports is named by its module"
        ));
    };
    if there > here {
        let (from, to) = (row_of(here), row_of(there));
        return Some(format!("`{home}` ({from}) imports `{target}` ({to}), which stands below it or to its right"));
    }
    let is_adapter = row_of(there) == ADAPTERS && row_of(here) != ADAPTERS;
    (is_adapter && !WHO_NAMES_ADAPTERS.contains(&home))
        .then(|| format!("`{home}` names the adapter `{target}`: only {WHO_NAMES_ADAPTERS:?} may, others see ports"))
}

#[test]
fn modules_import_in_the_order_of_the_table() {
    let files = tree::files();
    let ours = files.iter().filter(|file| file.is_rust() && file.path.starts_with("cache-core/src/"));
    let findings: Vec<Finding> = ours.flat_map(check).collect();
    assert_none(&findings);
}

#[test]
fn names_stand_in_the_table_once() {
    let mut names: Vec<&str> = ROWS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(ROWS.iter().any(|(row, _)| *row == ADAPTERS));
    assert!(WHO_NAMES_ADAPTERS.iter().all(|name| place_of(name).is_some()));
}

#[test]
fn import_from_below_or_from_the_right_is_found() {
    for (path, text, says) in [
        ("flight.rs", "\nuse crate::cache::Cache;", "`flight` (machinery) imports `cache` (composition)"),
        ("error.rs", "\nuse crate::key::Key;", "`error` (vocabulary) imports `key` (vocabulary)"),
        ("key/scope.rs", "\nuse crate::{error::Error, policy::Policy};", "`key` (vocabulary) imports `policy` (model)"),
        ("key/mod.rs", "\nfn f() { crate::tags::sweep() }", "imports `tags`"),
        ("key.rs", "\nfn f() { vec![super::tags::sweep()] }", "imports `tags`"),
        ("key/scope.rs", "\nuse super::super::tags::Cell;", "imports `tags`"),
        ("cache/mod.rs", "\nuse crate::installed::installed;", "imports `installed` (faces)"),
        ("cache/mod.rs", "\nuse crate::lib::x;", "imports `lib` (faces)"),
        ("tasks.rs", "\nuse crate::Error;", "has no place in the order"),
        ("tasks.rs", "\nuse super::*;", "has no place in the order"),
        ("coherence.rs", "\nuse crate::remote::redis::Redis;", "names the adapter `remote`"),
        ("cache/load.rs", "\nuse crate::local::Moka;", "names the adapter `local`"),
    ] {
        assert_bites(&check(&File::snippet(&format!("cache-core/src/{path}"), text)), 2, says);
    }
    assert_bites(&check(&File::snippet("cache-core/src/novel.rs", "")), 1, "`novel` has no place");
}

#[test]
fn import_from_above_or_from_the_left_passes() {
    for (path, text) in [
        ("flight.rs", "use crate::tasks::Tasks; use crate::{error::Error, tier::LocalTier};"),
        ("remote/redis/mod.rs", "use crate::local::x; use super::memory::Y; use crate::remote::redis::names;"),
        ("builder.rs", "use crate::{local::Moka, remote::redis::Redis, cache::Cache};"),
        ("lib.rs", "pub use crate::{cache::Cache, remote::memory::Memory}; pub use self::key::Key;"),
        ("error.rs", "#[cfg(test)] mod tests { use super::*; use crate::cache::Cache; }"),
    ] {
        assert_none(&check(&File::snippet(&format!("cache-core/src/{path}"), text)));
    }
}
