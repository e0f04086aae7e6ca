//! The torture run in its short form: everything that its long form does, for a few seconds.

use std::process::Command;

#[test]
fn a_few_seconds_in_every_deployment_break_no_rule() {
    let run = Command::new(env!("CARGO_BIN_EXE_torture")).args(["--seconds", "15"]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    for deployment in ["single", "sentinel", "cluster"] {
        let line = said.lines().find(|line| line.starts_with(&format!("{deployment}: "))).expect(&said);
        let reads: usize = line.split([' ', ',']).nth(1).unwrap().parse().unwrap();
        assert!(reads > 1_000, "too little happened: {said}");
    }
    assert!(said.contains("violations: 0"), "{said}");
}
