//! The table: a line a case, a column a cache, one word in each cell; and below it what was seen.

use std::io::{self, Write};

use crate::case::{Case, Contender, Verdict};

/// What was compiled in, to the patch level.
const LOCK: &str = include_str!("../Cargo.lock");

/// The verdicts so far.
pub(crate) struct Table {
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
        Self { columns: contenders.iter().map(|it| heading(it.as_ref())).collect(), lines: Vec::new() }
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
        for (case, verdicts) in &self.lines {
            writeln!(out, "\n{} {}", case.number(), case.title())?;
            for (column, verdict) in self.columns.iter().zip(verdicts) {
                writeln!(out, "   {column:<28} {verdict}")?;
            }
        }
        Ok(())
    }
}

/// The version of a crate in the lock file. Where there are several, the newest is ours: the others are dependencies'.
fn version(krate: &str) -> &'static str {
    let name = format!("name = \"{krate}\"\nversion = \"");
    LOCK.split(name.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).last().unwrap_or("?")
}
