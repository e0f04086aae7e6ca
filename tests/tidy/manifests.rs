//! Which crate depends on which, one version of each dependency, one lint list.

use crate::tree::{self, File};
use crate::{APART, Finding, assert_bites, assert_none};

/// A line of a table of dependencies.
struct Dependency<'a> {
    line: usize,
    table: &'a str,
    name: &'a str,
    body: &'a str,
}

fn check(file: &File) -> Vec<Finding> {
    // A workspace has its versions and its lint list in itself.
    if file.text.lines().any(|line| line == "[workspace]") {
        return Vec::new();
    }
    let dependencies = dependencies(&file.text);
    let mut findings: Vec<Finding> =
        dependencies.iter().filter_map(|it| Some(Finding::new(file, it.line, says(file, it)?))).collect();
    if !file.text.contains("[lints]\nworkspace = true") && !file.text.contains("lints.workspace = true") {
        findings.push(Finding::new(file, 1, "has no `[lints] workspace = true`: the lint list is one"));
    }
    findings
}

fn says(file: &File, it: &Dependency<'_>) -> Option<String> {
    let apart = APART.iter().find(|(package, _)| file.package() == *package).map_or(&[][..], |(_, apart)| apart);
    let stranger = apart.iter().find(|name| it.name == **name || it.body.contains(&format!("\"{name}\"")));
    if let Some(stranger) = stranger
        && it.table != "dev-dependencies"
    {
        return Some(format!("`{}` may not depend on `{stranger}`", file.package()));
    }
    let is_shared = it.body.contains("workspace = true") || it.body.contains("path = ");
    (!is_shared).then(|| format!("`{}` has a version of its own: put it into the workspace's Cargo.toml", it.name))
}

/// One dependency a line, as this repository writes them; a table of its own (`[dependencies.x]`) is one dependency.
fn dependencies(text: &str) -> Vec<Dependency<'_>> {
    let mut found: Vec<Dependency<'_>> = Vec::new();
    let mut table = None;
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if let Some(header) = line.strip_prefix('[') {
            table = table_of(header.trim_end_matches(']'));
            if let Some((table, Some(name))) = table {
                found.push(Dependency { line: at + 1, table, name, body: "" });
            }
            continue;
        }
        match (table, line.split_once('=')) {
            (Some((table, None)), Some((key, _))) => {
                let name = key.split('.').next().unwrap_or(key).trim();
                found.push(Dependency { line: at + 1, table, name, body: line });
            }
            (Some((_, Some(_))), Some((key, _))) if matches!(key.trim(), "workspace" | "path" | "package") => {
                let last = found.last_mut().expect("the table's header was pushed");
                // A path or the workspace settles the version; a package settles whose it is.
                last.body = if last.body.contains("package") { last.body } else { line };
            }
            _ => {}
        }
    }
    found
}

/// The kind of a table of dependencies, and the dependency if the table is one's own.
fn table_of(header: &str) -> Option<(&str, Option<&str>)> {
    ["dev-dependencies", "build-dependencies", "dependencies"].into_iter().find_map(|kind| {
        let at = header.find(kind)?;
        let before = &header[..at];
        let rest = &header[at + kind.len()..];
        let is_table = before.is_empty() || (before.starts_with("target.") && before.ends_with('.'));
        is_table.then_some((kind, rest.strip_prefix('.')))
    })
}

/// The lint list of a manifest, without its comments: below `[workspace.lints.` in ours, below `[lints.` in a workspace that
/// stands apart.
fn lints(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            let name = line.trim_start_matches("[workspace.").trim_start_matches('[');
            inside = name.starts_with("lints.");
            if inside {
                found.push(name);
                continue;
            }
        }
        if inside {
            found.push(line);
        }
    }
    found
}

/// A workspace that stands apart from ours, against ours: it cannot inherit the lint list, so its copy has to be the same.
fn check_apart(file: &File, ours: &File) -> Vec<Finding> {
    let same = lints(&file.text) == lints(&ours.text);
    if same {
        Vec::new()
    } else {
        vec![Finding::new(file, 1, "its lint list is not that of the workspace's Cargo.toml")]
    }
}

#[test]
fn workspaces_that_stand_apart_have_the_lint_list() {
    let files = tree::files();
    let workspaces = files.iter().filter(|file| file.path.ends_with("Cargo.toml"));
    let (ours, apart): (Vec<&File>, Vec<&File>) = workspaces
        .filter(|file| file.text.lines().any(|line| line == "[workspace]"))
        .partition(|file| file.path == "Cargo.toml");
    let [ours] = ours[..] else { panic!("there is one at the root: {ours:?}") };
    assert!(lints(&ours.text).len() > 10, "{:?}", lints(&ours.text));
    let findings: Vec<Finding> = apart.into_iter().flat_map(|file| check_apart(file, ours)).collect();
    assert_none(&findings);
}

#[test]
fn workspace_apart_with_another_lint_list_is_found() {
    let ours = File::snippet(
        "Cargo.toml",
        "[workspace]\n[workspace.lints.rust]\n# why\na = \"warn\"\n\n[profile.dev]\nb = 1\n",
    );
    let check = |text: &str| check_apart(&File::snippet("tests/apart/Cargo.toml", text), &ours);
    assert_none(&check("[workspace]\n[lints.rust]\na = \"warn\"\n[dependencies]\nc = \"1\"\n"));
    for text in ["[workspace]\n", "[workspace]\n[lints.rust]\n", "[lints.clippy]\na = \"warn\"\n"] {
        assert_bites(&check(text), 1, "its lint list");
    }
}

#[test]
fn manifests_keep_crates_apart_and_share_versions_and_lints() {
    let files = tree::files();
    let manifests: Vec<&File> = files.iter().filter(|file| file.path.ends_with("Cargo.toml")).collect();
    assert!(manifests.len() >= 4, "{manifests:?}");
    let findings: Vec<Finding> = manifests.into_iter().flat_map(check).collect();
    assert_none(&findings);
}

#[test]
fn manifest_that_breaks_a_rule_is_found() {
    let check = |package: &str, text: &str| {
        check(&File::snippet(&format!("{package}/Cargo.toml"), &format!("[lints]\nworkspace = true\n{text}\n")))
    };
    for (package, text, line, says) in [
        ("cache-core", "[dependencies]\ncache-tower.workspace = true", 4, "may not depend on `cache-tower`"),
        ("cache-core", "[dependencies.cache-tower]\nworkspace = true", 3, "may not depend on `cache-tower`"),
        ("cache-macros", "[dependencies]\nx = { workspace = true, package = \"cache-core\" }", 4, "`cache-core`"),
        ("cache-macros", "[target.'cfg(unix)'.dependencies]\ncache-core = { path = \"..\" }", 4, "`cache-core`"),
        ("cache-tower", "[build-dependencies]\ncache-macros.workspace = true", 4, "`cache-macros`"),
        ("tests", "[dev-dependencies]\ntokio = \"1\"", 4, "a version of its own"),
        ("tests", "[dependencies.tokio]\nversion = \"1\"", 3, "a version of its own"),
    ] {
        assert_bites(&check(package, text), line, says);
    }
    assert_none(&check("cache-macros", "[dev-dependencies]\ncache-core.workspace = true\n[features]\na = []"));
    assert_none(&check("tests", "[dependencies]\ntokio = { workspace = true, features = [\"rt\"] } # why"));
}

#[test]
fn manifest_without_the_lint_list_is_found() {
    assert_bites(
        &check(&File::snippet("tests/Cargo.toml", "[package]\nname = \"tests\"\n")),
        1,
        "the lint list is one",
    );
}
