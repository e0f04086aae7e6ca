//! The one table: a row is a point under one condition, with its figures.

/// A point under one condition.
#[derive(Clone, Debug)]
pub struct Row {
    pub point: &'static str,
    /// With what it was run.
    pub with: String,
    pub figures: Vec<Figure>,
}

/// What was measured, and what was wanted.
#[derive(Clone, Debug)]
pub struct Figure {
    pub measured: String,
    pub wanted: String,
    /// Nothing where nothing is wanted: it is told beside the others.
    pub is_met: Option<bool>,
    /// Whether it says how long something took, and so depends on what else the machine does.
    pub is_time: bool,
}

impl Figure {
    pub(crate) fn count(measured: impl Into<String>, wanted: impl Into<String>, is_met: bool) -> Self {
        Self { measured: measured.into(), wanted: wanted.into(), is_met: Some(is_met), is_time: false }
    }

    pub(crate) fn time(measured: impl Into<String>, wanted: impl Into<String>, is_met: bool) -> Self {
        Self { is_time: true, ..Self::count(measured, wanted, is_met) }
    }

    pub(crate) fn told(measured: impl Into<String>) -> Self {
        Self { measured: measured.into(), wanted: "-".to_owned(), is_met: None, is_time: false }
    }

    /// Whether it was missed, of those that are judged.
    pub fn is_missed(&self, judges_times: bool) -> bool {
        self.is_met == Some(false) && (judges_times || !self.is_time)
    }
}

/// Prints rows, or with `head` what stands above them. Lines of markdown.
#[allow(clippy::print_stdout, reason = "a program that prints a table")]
pub fn print(rows: &[Row], head: bool, judges_times: bool) {
    if head {
        println!("| point | with | figure | wanted | ok |\n|---|---|---|---|---|");
    }
    for row in rows {
        for (at, figure) in row.figures.iter().enumerate() {
            let (point, with) = if at == 0 { (row.point, row.with.as_str()) } else { ("", "") };
            let ok = match figure.is_met {
                Some(_) if figure.is_time && !judges_times => "not judged",
                Some(true) => "ok",
                Some(false) => "MISSED",
                None => "-",
            };
            println!("| {point} | {with} | {} | {} | {ok} |", figure.measured, figure.wanted);
        }
    }
}
