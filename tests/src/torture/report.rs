//! What a node tells the director: one line each.

use std::{fmt::Write as _, time::Duration};

use super::clock::Moment;

/// One thing that happened on a node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Report {
    Read(Read),
    Change(Change),
    Status(Status),
    /// A call that gave what it may never give.
    Wrong(String),
}

/// A read of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Read {
    pub(crate) id: u64,
    pub(crate) begun: Moment,
    pub(crate) ended: Moment,
    /// Nothing when nothing was cached.
    pub(crate) version: Option<u64>,
    /// It came from the process itself.
    pub(crate) local: bool,
}

/// A change of rows, and the cache's word for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) ended: Moment,
    pub(crate) applied: bool,
    /// Only entries of this lot are reached by it.
    pub(crate) lot: Option<u64>,
    /// The rows and the versions that they had been given.
    pub(crate) rows: Vec<(u64, u64)>,
}

/// How a node stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Status {
    pub(crate) at: Moment,
    /// Coherent, nothing waits, and what Redis holds is used.
    pub(crate) is_well: bool,
    /// In a word, for whoever looks into it.
    pub(crate) standing: String,
    pub(crate) fences: u64,
}

impl Report {
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Read(Read { id, begun, ended, version, local }) => {
                format!("read {id} {} {} {} {}\n", begun.0, ended.0, told(*version), u8::from(*local))
            }
            Self::Change(Change { ended, applied, lot, rows }) => {
                let mut line = format!("change {} {} {}", ended.0, u8::from(*applied), told(*lot));
                for (id, version) in rows {
                    let _ = write!(line, " {id}:{version}");
                }
                line.push('\n');
                line
            }
            Self::Status(Status { at, is_well, standing, fences }) => {
                format!("status {} {} {fences} {standing}\n", at.0, u8::from(*is_well))
            }
            Self::Wrong(what) => format!("wrong {}\n", what.replace('\n', " ")),
        }
    }

    /// The inverse of [`line`](Self::line); a line that a killed node left half written is nothing.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line.strip_suffix('\n')?.split_once(' ')?;
        let mut words = rest.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        match kind {
            "read" => {
                let (id, begun, ended) = (number()?, Moment(number()?), Moment(number()?));
                let version = words.next()?.parse().ok();
                Some(Self::Read(Read { id, begun, ended, version, local: words.next()? == "1" }))
            }
            "change" => {
                let (ended, applied) = (Moment(number()?), number()? == 1);
                let lot = words.next()?.parse().ok();
                let row = |word: &str| {
                    let (id, version) = word.split_once(':')?;
                    Some((id.parse().ok()?, version.parse().ok()?))
                };
                Some(Self::Change(Change { ended, applied, lot, rows: words.map(row).collect::<Option<_>>()? }))
            }
            "status" => {
                let (at, is_well, fences) = (Moment(number()?), number()? == 1, number()?);
                Some(Self::Status(Status { at, is_well, fences, standing: words.next()?.to_owned() }))
            }
            "wrong" => Some(Self::Wrong(rest.to_owned())),
            _ => None,
        }
    }
}

/// A number that may not be there.
pub(crate) fn told(number: Option<u64>) -> String {
    number.map_or("-".to_owned(), |number| number.to_string())
}

/// How often a node says how it stands.
pub(crate) const STATUS_EVERY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_is_the_inverse_of_line() {
        let reports = [
            Report::Read(Read { id: 7, begun: Moment(1), ended: Moment(2), version: Some(3), local: true }),
            Report::Read(Read { id: 7, begun: Moment(1), ended: Moment(2), version: None, local: false }),
            Report::Change(Change { ended: Moment(5), applied: true, lot: None, rows: vec![(1, 2), (3, 4)] }),
            Report::Change(Change { ended: Moment(5), applied: false, lot: Some(1), rows: vec![] }),
            Report::Status(Status { at: Moment(9), is_well: false, fences: 4, standing: "fenced".to_owned() }),
            Report::Wrong("row 7 was row 8".to_owned()),
        ];
        for report in reports {
            assert_eq!(Report::parse(&report.line()), Some(report));
        }
        assert_eq!(Report::parse("read 7 1 2"), None, "half a line");
    }
}
