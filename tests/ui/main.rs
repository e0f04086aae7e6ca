//! What the macros say. Each file of `fail/` must be refused with exactly the words of the `.stderr` beside it; each of
//! `pass/` must build and run. After a wanted change: `TRYBUILD=overwrite cargo test -p tests --test ui`, then read the diff.

use std::path::Path;

#[test]
fn messages_are_as_recorded_and_odd_signatures_pass() {
    let (fail, pass) = (has_cases("fail"), has_cases("pass"));
    if !fail && !pass {
        return;
    }
    let cases = trybuild::TestCases::new();
    if fail {
        cases.compile_fail("ui/fail/*.rs");
    }
    if pass {
        cases.pass("ui/pass/*.rs");
    }
}

fn has_cases(kind: &str) -> bool {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui").join(kind);
    let is_case = |path: &Path| path.extension().is_some_and(|it| it == "rs");
    directory.read_dir().is_ok_and(|mut entries| entries.any(|it| it.is_ok_and(|it| is_case(&it.path()))))
}
