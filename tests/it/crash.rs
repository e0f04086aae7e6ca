//! The crash run in its short form: write-behind in every deployment, a few rounds of kills.

use std::process::Command;

use tests::fixtures::RedisOptions;

#[test]
fn a_few_rounds_in_every_deployment_lose_and_add_nothing() {
    let run = Command::new(env!("CARGO_BIN_EXE_crash")).args(["--rounds", "4"]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    let mut deployments =
        vec!["postgres-always", "sqlite-always", "sqlite-through", "postgres-everysec", "everysec-redis-killed"];
    // Where there is no server for it, it is said not to have run.
    match RedisOptions::that_waits_for_its_disk() {
        Some(_) => deployments.push("postgres-fsynced"),
        None => assert!(said.contains("postgres-fsynced: not run"), "{said}"),
    }
    for deployment in deployments {
        let line = said.lines().find(|line| line.starts_with(&format!("| {deployment} |"))).expect(&said);
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let acknowledged: usize = cells[3].parse().unwrap();
        let kills: usize = cells[5..12].iter().map(|cell| cell.parse::<usize>().unwrap()).sum();
        // Where each write waits for the sink there are fewer.
        let least = if deployment == "sqlite-through" { 100 } else { 500 };
        assert!(acknowledged > least && kills >= 4, "too little happened: {said}");
    }
    assert!(said.contains("violations: 0"), "{said}");
}
