//! Takes each guard of the protocol out, one at a time, and shows the test that notices:
//! `cargo run --release -p tests --bin guards [parts of guards' names]`; or lets the simulation notice, within 1,000 seeds:
//! `cargo run --release -p tests --bin guards -- --simulation [parts of guards' names]`.
//!
//! `-- --texts` only looks whether every guard is where the table says, as a test does.
//!
//! Works on a copy of the sources, in a target directory of its own. Ends with an error if a guard can be taken out without
//! any test failing, or if a test fails with all guards in place.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

mod table;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use table::{Guard, guards};

/// Seeds within which the simulation has to notice.
const SEEDS: &str = "1000";

/// What a test may take; without its guard some wait for ever.
const LIMIT_SECS: &str = "60";
/// What the simulation may take.
const SIMULATION_SECS: &str = "1200";
/// What `timeout` exits with when it had to end the command.
const TIMED_OUT: i32 = 124;

/// How a test ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    /// It waited for what never came.
    Hung,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let by_simulation = words.first().is_some_and(|word| word == "--simulation");
    if by_simulation {
        words.remove(0);
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    if words.first().is_some_and(|word| word == "--texts") {
        return texts(&root);
    }
    let copy = Copy::of(&root)?;
    let fits = |guard: &&Guard| {
        let is_wanted = words.is_empty() || words.iter().any(|word| guard.name.contains(word));
        is_wanted && if by_simulation { guard.simulated } else { !guard.package.is_empty() }
    };
    let guards: Vec<&Guard> = guards().filter(fits).collect();
    let judge = |guard: &Guard| if by_simulation { copy.simulate() } else { copy.test(guard) };
    println!("{} guards; first, what has to pass with every guard in place", guards.len());
    for guard in guards.iter().take(if by_simulation { 1 } else { usize::MAX }) {
        let says = match judge(guard)? {
            Verdict::Passed => continue,
            Verdict::Failed => "FAILS",
            Verdict::Hung => "DOES NOT END IN TIME",
        };
        println!("{says} WITH ALL GUARDS IN PLACE: {}", if by_simulation { "the simulation" } else { guard.test });
        return Ok(ExitCode::FAILURE);
    }
    let mut unnoticed = 0;
    for (number, guard) in guards.iter().enumerate() {
        let start = Instant::now();
        let verdict = match copy.without(guard, by_simulation, |_| judge(guard))? {
            Verdict::Failed => "noticed by",
            // A test that hangs has noticed something; a thousand runs only take long.
            Verdict::Hung if !by_simulation => "noticed, for it never ends, by",
            Verdict::Hung => {
                unnoticed += 1;
                "NOT NOTICED IN TIME BY"
            }
            Verdict::Passed => {
                unnoticed += 1;
                "NOT NOTICED BY"
            }
        };
        let test = if by_simulation { "the simulation" } else { guard.test };
        let (number, all, secs) = (number + 1, guards.len(), start.elapsed().as_secs());
        println!("{number:>2}/{all} without \"{}\": {verdict} {test} ({secs} s)", guard.name);
    }
    println!("{} passed, {unnoticed} failed", guards.len() - unnoticed as usize);
    Ok(if unnoticed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether every guard is still where the table says.
fn texts(root: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let (mut all, mut gone) = (0, 0);
    for guard in guards() {
        all += 1;
        let file = root.join("cache-core/src").join(guard.file);
        if fs::read_to_string(file)?.matches(guard.from).count() != 1 {
            println!("{}: \"{}\" does not stand exactly once in {}", guard.name, guard.from, guard.file);
            gone += 1;
        }
    }
    println!("{all} guards, {gone} not where the table says");
    Ok(if gone == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A copy of the sources that can be broken.
struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    /// Copies what git knows, and what it does not ignore.
    fn of(root: &Path) -> Result<Self, Box<dyn Error>> {
        let place = root.join("target/guards");
        let copy = Self { root: place.join("sources"), target: place.join("target") };
        let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
        let files = Command::new("git").args(list).current_dir(root).output()?;
        for file in String::from_utf8(files.stdout)?.lines().filter(|file| root.join(file).is_file()) {
            let (from, to) = (root.join(file), copy.root.join(file));
            let text = fs::read(from)?;
            // What has not changed keeps its time, so that little is built again.
            if fs::read(&to).ok().as_ref() != Some(&text) {
                fs::create_dir_all(to.parent().ok_or("a file has a folder")?)?;
                fs::write(to, text)?;
            }
        }
        Ok(copy)
    }

    /// How the guard's test ends; an error if it was not run at all.
    fn test(&self, guard: &Guard) -> Result<Verdict, Box<dyn Error>> {
        let built = self.cargo(&[], guard, &["--no-run"]).output()?;
        if !built.status.success() {
            return Err(format!("{} cannot be built:\n{}", guard.test, String::from_utf8_lossy(&built.stderr)).into());
        }
        let limit = ["timeout", "--kill-after=5", LIMIT_SECS];
        let output = self.cargo(&limit, guard, &["--", "--exact", guard.test]).output()?;
        if output.status.code() == Some(TIMED_OUT) {
            return Ok(Verdict::Hung);
        }
        let said = String::from_utf8_lossy(&output.stdout);
        let ran = |count: &str| said.lines().any(|line| line.starts_with("test result:") && line.contains(count));
        match (output.status.success() && ran(" 1 passed"), ran(" 1 failed")) {
            (true, false) => Ok(Verdict::Passed),
            (false, true) => Ok(Verdict::Failed),
            _ => {
                Err(format!("{} was not run:\n{said}\n{}", guard.test, String::from_utf8_lossy(&output.stderr)).into())
            }
        }
    }

    /// Whether the simulation breaks no rule.
    fn simulate(&self) -> Result<Verdict, Box<dyn Error>> {
        let run = |words: &[&str]| {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
            command.env("RUSTFLAGS", "-Awarnings").output()
        };
        let built = run(&[env!("CARGO"), "build", "--quiet", "--release", "-p", "tests", "--bin", "sim"])?;
        if !built.status.success() {
            return Err(format!("the simulation cannot be built:\n{}", String::from_utf8_lossy(&built.stderr)).into());
        }
        let program = self.target.join("release/sim");
        let program = program.to_str().ok_or("a path that is text")?;
        let ended = run(&["timeout", SIMULATION_SECS, program, "--seeds", SEEDS, "--until-violation"])?;
        match ended.status.code() {
            Some(0) => Ok(Verdict::Passed),
            Some(TIMED_OUT) => Ok(Verdict::Hung),
            _ => Ok(Verdict::Failed),
        }
    }

    /// `cargo test` of the guard's tests in the copy, under `wrapper`.
    fn cargo(&self, wrapper: &[&str], guard: &Guard, arguments: &[&str]) -> Command {
        let target = if guard.package == "tests" { ["--test", "it"].as_slice() } else { &["--lib", "--all-features"] };
        let words: Vec<_> =
            [wrapper, &[env!("CARGO"), "test", "--quiet", "-p", guard.package], target, arguments].concat();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("RUSTFLAGS", "-Awarnings")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `look` while the guard is out.
    fn without<T>(
        &self,
        guard: &Guard,
        by_simulation: bool,
        look: impl FnOnce(&Self) -> Result<T, Box<dyn Error>>,
    ) -> Result<T, Box<dyn Error>> {
        let (file, from, to) = match guard.there {
            Some((from, to)) if by_simulation => (self.root.join("tests/src/simulation/store.rs"), from, to),
            _ => (self.root.join("cache-core/src").join(guard.file), guard.from, guard.to),
        };
        let whole = fs::read_to_string(&file)?;
        if whole.matches(from).count() != 1 {
            return Err(format!("{}: \"{from}\" does not stand there exactly once", file.display()).into());
        }
        fs::write(&file, whole.replace(from, to))?;
        let seen = look(self);
        fs::write(&file, whole)?;
        seen
    }
}
