//! Rules over the bare text of every file: length, white space, paths of one machine.

use crate::tree::{self, File};
use crate::{Finding, LINES_MAX, assert_bites, assert_none};

/// Where people and machines keep their own things. The repository's own place is looked for too.
const HOMES: &[&str] = &["/home/", "/root/", "/Users/"];

fn check(file: &File, root: &str) -> Vec<Finding> {
    let by_line = file.text.split('\n').enumerate();
    let mut findings: Vec<Finding> =
        by_line.filter_map(|(at, line)| Some(Finding::new(file, at + 1, line_says(line, root)?))).collect();
    let lines = file.text.lines().count();
    if lines > LINES_MAX && matches!(file.extension(), "rs" | "lua") {
        findings.push(Finding::new(file, lines, format!("{lines} lines: past {LINES_MAX} it is two files")));
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        findings.push(Finding::new(file, lines, "the last line does not end"));
    }
    findings
}

fn line_says(line: &str, root: &str) -> Option<String> {
    if line.contains('\t') {
        return Some("a tab".to_owned());
    }
    if line.ends_with([' ', '\r']) {
        return Some("white space at the end".to_owned());
    }
    // A root of one name (`/src`) is too common a word to look for.
    let own = (root.matches('/').count() > 1).then_some(root);
    let place = HOMES.iter().copied().chain(own).find(|place| names_place(line, place))?;
    Some(format!("a path of somebody's machine ({place}..)"))
}

/// Whether an absolute path in `line` begins with `place`; not `a/home/`, nor `{dir}/home/`.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before
            .is_some_and(|it| it.is_alphanumeric() || matches!(it, '_' | '-' | '.' | '}' | ')' | '/' | '~' | '$' | '*'))
    })
}

#[test]
fn files_are_short_and_clean() {
    let root = tree::root();
    let root = root.to_str().unwrap();
    // This file has to name what it looks for.
    let files = tree::files().into_iter().filter(|file| file.path != "tests/tidy/text.rs");
    let findings: Vec<Finding> = files.flat_map(|file| check(&file, root)).collect();
    assert_none(&findings);
}

#[test]
fn file_too_long_is_found() {
    let file = |lines: usize| File::snippet("cache-core/src/key.rs", &"x\n".repeat(lines));
    assert_bites(&check(&file(LINES_MAX + 1), "/a/b"), LINES_MAX + 1, "it is two files");
    assert_none(&check(&file(LINES_MAX), "/a/b"));
    assert_none(&check(&File::snippet("README.md", &"x\n".repeat(LINES_MAX + 1)), "/a/b"));
}

#[test]
fn white_space_is_found() {
    for (text, says) in
        [("a\n\tb\n", "a tab"), ("a\nb \n", "at the end"), ("a\nb\r\n", "at the end"), ("a\nb", "does not end")]
    {
        assert_bites(&check(&File::snippet("README.md", text), "/a/b"), 2, says);
    }
}

#[test]
fn path_of_a_machine_is_found_and_what_looks_like_one_passes() {
    for line in ["see /home/ann/x", "`/root/.cargo`", "cd /Users/ann", "(/a/b/c)", "path = \"/a/b\""] {
        assert_bites(&check(&File::snippet("README.md", &format!("{line}\n")), "/a/b"), 1, "somebody's machine");
    }
    for line in ["https://example.org/home/x", "{dir}/root/x", "x/a/b", "~/root/", "GET /products"] {
        assert_none(&check(&File::snippet("README.md", &format!("{line}\n")), "/a/b"));
    }
    assert_none(&check(&File::snippet("README.md", "open /src/lib.rs\n"), "/src"));
}
