//! What came of the calls, and what was promised.

use std::fmt;

/// Rows of a table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: &'static str,
    calls: u64,
    handled: u64,
    promised: u64,
    same: Same,
}

/// Whether answers are those of a server without the layer.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a finding of its own")]
pub(crate) struct Same {
    pub(crate) headers: bool,
    pub(crate) bytes: bool,
    pub(crate) trailers: bool,
    /// What else was promised of the row.
    pub(crate) other: bool,
}

// === impl Table ===

impl Table {
    /// So many calls were made, of which the service has seen so many, and should have seen so many.
    pub(crate) fn row(&mut self, what: &'static str, calls: u64, handled: u64, promised: u64, same: Same) {
        self.rows.push(Row { what, calls, handled, promised, same });
    }

    pub(crate) fn is_as_promised(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(Row::is_as_promised)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | calls | handler calls | promised | headers | bytes | trailers | ok |")?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        let word = |same| if same { "equal" } else { "DIFFER" };
        for row in &self.rows {
            let Row { what, calls, handled, promised, same: Same { headers, bytes, trailers, .. } } = row;
            let (headers, bytes, trailers) = (word(*headers), word(*bytes), word(*trailers));
            let verdict = if row.is_as_promised() { "ok" } else { "MISSED" };
            writeln!(
                f,
                "| {what} | {calls} | {handled} | {promised} | {headers} | {bytes} | {trailers} | {verdict} |"
            )?;
        }
        Ok(())
    }
}

// === impl Row ===

impl Row {
    fn is_as_promised(&self) -> bool {
        let Same { headers, bytes, trailers, other } = self.same;
        self.handled == self.promised && headers && bytes && trailers && other
    }
}

// === impl Same ===

impl Same {
    pub(crate) const ALL: Self = Self { headers: true, bytes: true, trailers: true, other: true };

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            headers: self.headers && other.headers,
            bytes: self.bytes && other.bytes,
            trailers: self.trailers && other.trailers,
            other: self.other && other.other,
        }
    }
}
