//! The table: a line a case, a column a cache, one word in each cell; and below it what was seen.

use std::io::{self, Write};

use crate::case::{Case, Contender, Verdict};

/// What was compiled in, to the patch level.
const LOCK: &str = include_str!("../Cargo.lock");

/// Where the lines below the table break.
const WIDTH: usize = 120;

/// The verdicts so far.
pub(crate) struct Table {
    names: Vec<&'static str>,
    columns: Vec<String>,
    lines: Vec<(Case, Vec<Verdict>)>,
}

// === impl Table ===

impl Table {
    /// An empty one.
    pub(crate) fn of(contenders: &[Box<dyn Contender>]) -> Self {
        let heading = |it: &dyn Contender| {
            let versions: Vec<&str> = it.crates().iter().map(|krate| version(krate)).collect();
            format!("{} {}", it.name(), versions.join(" / "))
        };
        let names = contenders.iter().map(|it| it.name()).collect();
        Self { names, columns: contenders.iter().map(|it| heading(it.as_ref())).collect(), lines: Vec::new() }
    }

    /// The next verdict, contender by contender in each case.
    pub(crate) fn push(&mut self, case: Case, verdict: Verdict) {
        match self.lines.last_mut() {
            Some((last, verdicts)) if *last == case => verdicts.push(verdict),
            _ => self.lines.push((case, vec![verdict])),
        }
    }

    /// All of it, as Markdown.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "| | case | {} |", self.columns.join(" | "))?;
        writeln!(out, "|{}", "---|".repeat(self.columns.len() + 2))?;
        for (case, verdicts) in &self.lines {
            let words: Vec<&str> = verdicts.iter().map(Verdict::word).collect();
            writeln!(out, "| {} | {} | {} |", case.number(), case.title(), words.join(" | "))?;
        }
        if self.lines.iter().flat_map(|(_, verdicts)| verdicts).any(|it| matches!(it, Verdict::HoldsWith(_))) {
            writeln!(out, "\n`*`: with an option that is not in the set-up which its documentation shows first.")?;
        }
        writeln!(out, "\n```text")?;
        for (at, (case, verdicts)) in self.lines.iter().enumerate() {
            let gap = if at == 0 { "" } else { "\n" };
            writeln!(out, "{gap}{} {}", case.number(), case.title())?;
            self.print_seen(verdicts, out)?;
        }
        writeln!(out, "```")
    }

    /// What was seen of each; those that do not offer it in one line a reason.
    fn print_seen(&self, verdicts: &[Verdict], out: &mut impl Write) -> io::Result<()> {
        let mut told: Vec<(String, Vec<&str>)> = Vec::new();
        for (name, verdict) in self.names.iter().zip(verdicts) {
            let words = verdict.to_string();
            match told.iter_mut().find(|(other, _)| *other == words) {
                Some((_, names)) => names.push(name),
                None => told.push((words, vec![name])),
            }
        }
        for (words, names) in told {
            print_wrapped(&format!("{}: {words}", names.join(", ")), out)?;
        }
        Ok(())
    }
}

/// A paragraph with a hanging indent.
fn print_wrapped(text: &str, out: &mut impl Write) -> io::Result<()> {
    let mut line = "  ".to_owned();
    for word in text.split(' ') {
        if line.len() + word.len() >= WIDTH {
            writeln!(out, "{line}")?;
            "     ".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(out, "{line}")
}

/// The version of a crate in the lock file. Where there are several, the newest is ours: the others are dependencies'.
fn version(krate: &str) -> &'static str {
    let name = format!("name = \"{krate}\"\nversion = \"");
    LOCK.split(name.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).last().unwrap_or("?")
}
