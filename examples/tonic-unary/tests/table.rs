//! The program, as it is.

use std::process::Command;

#[test]
fn program_ends_well_and_says_what_it_has_done() {
    let output = Command::new(env!("CARGO_BIN_EXE_tonic-unary")).output().unwrap();
    let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{why}");
    for row in [
        "| 10 products, 5 times each | 51 | 10 | 10 | equal | equal | equal | ok |",
        "| a cold product, 200 at once | 200 | 1 | 1 | equal | equal | equal | ok |",
        "| one of two evicted by its tag | 4 | 1 | 1 | equal | equal | equal | ok |",
        "| a call that fails | 6 | 6 | 6 | equal | equal | equal | ok |",
        "| calls with `authorization` | 5 | 5 | 5 | equal | equal | equal | ok |",
        "| a stream of 4, each waiting for the last | 3 | 3 | 3 | equal | equal | equal | ok |",
    ] {
        assert!(said.contains(row), "{row}\nis not in\n{said}");
    }
}
