//! The rules of the house that a machine can hold: which module may import which, how long a file may be, what may not stand
//! in one. Each rule is run over the whole tree, and beside it over a snippet that breaks it, so that it is known to bite.
//!
//! The tables that people change stand here; the rules read them.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the tree fails")]

mod manifests;
mod order;
mod text;
mod tokens;
mod tree;
mod words;

/// Rows of modules, each with its name.
type Rows = &'static [(&'static str, &'static [&'static str])];

/// The modules of `cache-core/src`, in order. A file may import from the rows above its own, and in its own row from the names
/// to its left. A module's own files may import one another. What is under `#[cfg(test)]` may import anything.
const ROWS: Rows = &[
    ("vocabulary", &["sync", "error", "chance", "key", "tag", "version", "clock", "duration"]),
    ("model", &["moves", "epochs", "cell", "entry", "policy", "outcome", "breaker"]),
    ("ports", &["codec", "schema", "wire", "value", "journal", "tier", "token"]),
    ("adapters", &["local", "remote"]),
    ("machinery", MACHINERY),
    ("composition", &["cache", "behind", "builder"]),
    ("faces", &["installed", "__private", "test_util", "lib"]),
];
const MACHINERY: &[&str] =
    &["tasks", "flight", "lease", "budget", "coherence", "tags", "refresh", "failures", "recovery", "stats", "hearing"];

/// The modules of `cache-tower/src`, in the same order.
const TOWER_ROWS: Rows = &[
    ("vocabulary", &["rfc", "clock", "query", "slot", "caching", "prefix"]),
    ("model", &["config", "key", "stored", "record", "body", "part", "passes", "shared"]),
    ("machinery", &["answer", "keep", "live", "future", "fetch", "invalidate", "purge", "flow"]),
    ("faces", &["service", "layer", "grpc", "lib"]),
];

/// What still goes the wrong way in `cache-tower`: from, to. One that is no longer needed is to be taken out.
const TOWER_EXCEPTIONS: &[(&str, &str)] = &[];

/// The row that only these may name, besides itself: machinery sees ports, never adapters.
const ADAPTERS: &str = "adapters";
const WHO_NAMES_ADAPTERS: &[&str] = &["builder", "test_util"];

/// Which of our crates a crate may not depend on, in `[dependencies]`, nor name in its code.
const APART: &[(&str, &[&str])] = &[
    ("cache-core", &["cache-tower"]),
    ("cache-macros", &["cache-core", "cache-tower"]),
    ("cache-tower", &["cache-macros"]),
];

/// Lines of a source file. Past this it is two files.
const LINES_MAX: usize = 600;

/// The words that a comment beside a `sleep(` in a test must have: what time itself is waited for. To wait for a thing there
/// is `tests::eventually`.
const WAIT_WORDS: &str = "time itself";

/// Macros that may not be left behind.
const LEFT_BEHIND: &[&str] = &["todo", "unimplemented", "dbg"];

/// What a rule has found: where, and a sentence.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    file: String,
    line: usize,
    says: String,
}

impl Finding {
    fn new(file: &tree::File, line: usize, says: impl Into<String>) -> Self {
        Self { file: file.path.clone(), line, says: says.into() }
    }
}

/// Fails with one line a finding.
#[track_caller]
fn assert_none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(|it| format!("{}:{}: {}", it.file, it.line, it.says)).collect();
    assert!(findings.is_empty(), "{} broken:\n{}\n", findings.len(), lines.join("\n"));
}

/// Holds a rule against a snippet that breaks it: exactly one finding, on that line, saying this.
#[track_caller]
fn assert_bites(findings: &[Finding], line: usize, says: &str) {
    assert!(
        matches!(findings, [one] if one.line == line && one.says.contains(says)),
        "wanted one finding on line {line} with {says:?}, got {findings:#?}"
    );
}
