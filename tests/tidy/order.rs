//! Modules import in one direction, and in `cache-core` only the composition names adapters.

use crate::tokens::{self, What};
use crate::tree::{self, File};
use crate::{
    ADAPTERS, Finding, ROWS, Rows, TOWER_EXCEPTIONS, TOWER_ROWS, WHO_NAMES_ADAPTERS, assert_bites, assert_none,
};

/// Where a module stands: its row, and its place in it. `Ord` is the order of imports.
type Place = (usize, usize);

/// The order of one crate.
#[derive(Clone, Copy)]
struct Order {
    rows: Rows,
    exceptions: &'static [(&'static str, &'static str)],
}

const CORE: Order = Order { rows: ROWS, exceptions: &[] };
const TOWER: Order = Order { rows: TOWER_ROWS, exceptions: TOWER_EXCEPTIONS };

/// That of the crate which a file belongs to.
fn order_of(file: &File) -> Option<Order> {
    match file.path.split_once("/src/")?.0 {
        "cache-core" => Some(CORE),
        "cache-tower" => Some(TOWER),
        _ => None,
    }
}

impl Order {
    fn place_of(self, module: &str) -> Option<Place> {
        let place = |names: &[&str]| names.iter().position(|name| *name == module);
        self.rows.iter().enumerate().find_map(|(row, (_, names))| Some((row, place(names)?)))
    }

    fn row_of(self, place: Place) -> &'static str {
        self.rows[place.0].0
    }

    /// Why a file of `home` may not name `target`, if it may not.
    fn judge(self, home: &str, here: Place, target: &str) -> Option<String> {
        if target == home || home == "lib" {
            return None;
        }
        let Some(there) = self.place_of(target) else {
            return Some(format!(
                "`crate::{target}` has no place in the order: a module gets one in tests/tidy/main.rs, and what the crate's \
                 root re-exports is named by its module"
            ));
        };
        if there > here {
            let (from, to) = (self.row_of(here), self.row_of(there));
            let says = format!("`{home}` ({from}) imports `{target}` ({to}), which stands below it or to its right");
            return (!self.exceptions.contains(&(home, target))).then_some(says);
        }
        let is_adapter = self.row_of(there) == ADAPTERS && self.row_of(here) != ADAPTERS;
        (is_adapter && !WHO_NAMES_ADAPTERS.contains(&home)).then(|| {
            format!("`{home}` names the adapter `{target}`: only {WHO_NAMES_ADAPTERS:?} may, others see ports")
        })
    }
}

fn home_of(file: &File) -> String {
    tokens::module_of(&file.path).into_iter().next().unwrap_or_else(|| "lib".to_owned())
}

/// What a file imports of its crate, with the lines; not what its tests do.
fn imports(file: &File) -> Vec<(usize, String)> {
    let seen = tokens::read(file).unwrap_or_default();
    let paths = seen.into_iter().filter(|it| !it.tested).filter_map(|it| match it.what {
        What::Path(path) => Some((it.line, path.into_iter().next()?)),
        _ => None,
    });
    paths.collect()
}

fn check(file: &File) -> Vec<Finding> {
    let Some(order) = order_of(file) else { return Vec::new() };
    let home = home_of(file);
    let Some(here) = order.place_of(&home) else {
        let says = format!("`{home}` has no place in the order: give it one in tests/tidy/main.rs");
        return vec![Finding::new(file, 1, says)];
    };
    let judged =
        imports(file).into_iter().filter_map(|(line, target)| Some((line, order.judge(&home, here, &target)?)));
    judged.map(|(line, says)| Finding::new(file, line, says)).collect()
}

#[test]
fn modules_import_in_the_order_of_the_table() {
    let files = tree::files();
    let findings: Vec<Finding> = files.iter().filter(|file| file.is_rust()).flat_map(check).collect();
    assert_none(&findings);
}

#[test]
fn exceptions_are_needed() {
    let files = tree::files();
    for (from, to) in TOWER.exceptions {
        let (here, there) = (TOWER.place_of(from).unwrap(), TOWER.place_of(to).unwrap());
        let is_of_home = |file: &&File| file.path.starts_with("cache-tower/src/") && home_of(file) == *from;
        let mut imported = files.iter().filter(|file| file.is_rust()).filter(is_of_home).flat_map(imports);
        assert!(there > here && imported.any(|(_, target)| target == *to), "{from} -> {to} is no exception any more");
    }
}

#[test]
fn names_stand_in_their_table_once() {
    for order in [CORE, TOWER] {
        let mut names: Vec<&str> = order.rows.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
    assert!(ROWS.iter().any(|(row, _)| *row == ADAPTERS));
    assert!(WHO_NAMES_ADAPTERS.iter().all(|name| CORE.place_of(name).is_some()));
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
    for (path, text, says) in [
        ("rfc/vary.rs", "\nuse crate::config::Config;", "`rfc` (vocabulary) imports `config` (model)"),
        ("answer.rs", "\nuse crate::{body::CacheBody, flow::Flow};", "`answer` (machinery) imports `flow` (machinery)"),
        ("flow.rs", "\nuse crate::CacheLayer;", "has no place in the order"),
    ] {
        assert_bites(&check(&File::snippet(&format!("cache-tower/src/{path}"), text)), 2, says);
    }
    assert_bites(&check(&File::snippet("cache-core/src/novel.rs", "")), 1, "`novel` has no place");
    assert_bites(&check(&File::snippet("cache-tower/src/novel.rs", "")), 1, "`novel` has no place");
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
