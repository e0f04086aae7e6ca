//! Many callers of one key on several nodes: the run of `--bin stampede` in its short form.

use std::process::Command;

#[test]
fn counts_hold_with_a_few_processes_for_a_few_seconds() {
    // What a call may wait for Redis is wide: how busy this machine is decides nothing.
    let words = ["--counts", "--processes", "3", "--callers", "100", "--seconds", "2", "--budget", "10000"];
    let run = Command::new(env!("CARGO_BIN_EXE_stampede")).args(words).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("missed: 0") && said.matches("| ok |").count() > 20, "too little was judged: {said}");
    for loaded in ["| loads 1 | 1 | ok |", "| loads 100 | 100 | ok |", "failed 0 of"] {
        assert!(said.matches(loaded).count() >= 2, "with Redis and without it: {loaded}: {said}");
    }
}
