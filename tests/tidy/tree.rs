//! The files of the repository, as the rules see them.

use std::fs;
use std::path::{Path, PathBuf};

/// A file: its path from the root of the repository, with `/`, and what is in it.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

// === impl File ===

impl File {
    /// A snippet that stands where `path` says, for the tests of the rules.
    pub(crate) fn snippet(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn extension(&self) -> &str {
        Path::new(&self.path).extension().and_then(|it| it.to_str()).unwrap_or("")
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    /// The member of the workspace that it belongs to, or nothing at the top.
    pub(crate) fn package(&self) -> &str {
        self.path.split_once('/').map_or("", |(first, _)| first)
    }

    /// Whether all of it is a test: of the `tests` member, in a `tests` folder, or the file of a `tests` module.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package stands in the root").to_owned()
}

/// Every text file that is ours: no lock file, no licence, nothing that a tool has made.
pub(crate) fn files() -> Vec<File> {
    let mut all = Vec::new();
    read(&root(), "", &mut all);
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

fn read(directory: &Path, prefix: &str, all: &mut Vec<File>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() {
            if !matches!(name.as_str(), "target" | ".git") {
                read(&entry.path(), &format!("{path}/"), all);
            }
        } else if is_ours(&name)
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            all.push(File { path, text });
        }
    }
}

fn is_ours(name: &str) -> bool {
    let kind = Path::new(name).extension().and_then(|it| it.to_str());
    name == "run" || matches!(kind, Some("rs" | "toml" | "md" | "lua" | "sql" | "sh" | "yml" | "yaml"))
}

#[test]
fn tree_read_has_the_files_that_everybody_knows() {
    let all = files();
    for path in ["Cargo.toml", "cache-core/src/lib.rs", "cache-macros/src/lib.rs", "tests/run", ".ci/run"] {
        assert!(all.iter().any(|file| file.path == path), "{path} was not read");
    }
    assert!(all.iter().all(|file| !file.path.starts_with("target/") && file.extension() != "lock"));
}
