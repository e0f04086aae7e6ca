//! A table that is printed row by row, aligned by widths that are known from the start.

use std::time::Duration;

/// Which side a cell's text stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A column: its title, how wide it is in characters, and its side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column(pub &'static str, pub usize, pub Side);

/// How rows are laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table(pub &'static [Column]);

// === impl Table ===

impl Table {
    /// The titles, and a rule below them.
    pub(crate) fn head(&self) -> String {
        let titles: Vec<&str> = self.0.iter().map(|column| column.0).collect();
        let rules: Vec<String> = self.0.iter().map(|column| "-".repeat(column.1)).collect();
        format!("{}\n{}", self.row(&titles), rules.join("  "))
    }

    /// One row. Text wider than its column keeps whole and moves the rest: a table that hides what it shows is of no use.
    pub(crate) fn row(&self, cells: &[impl AsRef<str>]) -> String {
        let cell = |(Column(_, width, side), text): (&Column, &str)| match side {
            Side::Left => format!("{text:<width$}"),
            Side::Right => format!("{text:>width$}"),
        };
        let cells: Vec<String> = self.0.iter().zip(cells.iter().map(AsRef::as_ref)).map(cell).collect();
        cells.join("  ").trim_end().to_owned()
    }
}

/// A duration in milliseconds, with two digits after the point.
pub(crate) fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1_000.0)
}

/// The middle one of `samples`, or of the two in the middle the lower; zero without any.
pub(crate) fn median(samples: &[Duration]) -> Duration {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table =
        Table(&[Column("request", 12, Side::Left), Column("time", 8, Side::Right), Column("", 4, Side::Left)]);

    #[test]
    fn rows_are_aligned_and_end_without_blanks() {
        let lines = format!(
            "{}\n{}\n{}",
            TABLE.head(),
            TABLE.row(&["GET /top", "1.20 ms", "ok"]),
            TABLE.row(&["GET /", "10.20 ms", ""])
        );
        let wanted = "request           time
------------  --------  ----
GET /top       1.20 ms  ok
GET /         10.20 ms";
        assert_eq!(lines, wanted);
    }

    #[test]
    fn row_keeps_what_is_too_wide() {
        assert_eq!(TABLE.row(&["GET /products/12", "1 ms", "ok"]), "GET /products/12      1 ms  ok");
    }

    #[test]
    fn numbers_are_rendered_for_people() {
        assert_eq!(millis(Duration::from_micros(1_234)), "1.23 ms");
        assert_eq!(median(&[3, 1, 2].map(Duration::from_millis)), Duration::from_millis(2));
        assert_eq!(median(&[4, 1].map(Duration::from_millis)), Duration::from_millis(1));
        assert_eq!(median(&[]), Duration::ZERO);
    }
}
