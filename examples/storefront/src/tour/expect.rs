//! What a request is expected to give, and how an answer differs from it. Time is never judged here.

use crate::header::{Seen, render};

use super::drive::Answer;

/// `hit; tier=local`
pub(crate) const LOCAL: &str = "hit; tier=local";
/// `hit; tier=remote`
pub(crate) const REMOTE: &str = "hit; tier=remote";
/// `miss; load=own`
pub(crate) const LOADED: &str = "miss; load=own";
/// `miss; load=joined`
pub(crate) const JOINED: &str = "miss; load=joined";
/// `put; ack=applied`
pub(crate) const PUT: &str = "put; ack=applied";
/// `evict; ack=applied`
pub(crate) const EVICT: &str = "evict; ack=applied";

/// The scope of the URLs of the pages that the HTTP layer keeps: by them a write evicts those.
pub(crate) const URLS: &str = "pages-url";

/// `put; ack=queued`
pub(crate) const PUT_QUEUED: &str = "put; ack=queued";
/// `evict; ack=queued`
pub(crate) const EVICT_QUEUED: &str = "evict; ack=queued";
/// `bypass; reason=remote`
pub(crate) const BYPASSED: &str = "bypass; reason=remote";

/// What an answer should be. What is not said is not checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expect {
    status: u16,
    seen: Option<Vec<Wanted>>,
    page: Option<&'static str>,
    loads: Option<u64>,
    fields: Vec<(&'static str, u64)>,
}

/// What an expectation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// What functions did.
    Data,
    /// What the HTTP layer did, too.
    Page,
}

/// One entry of the header: a scope, and the outcomes that are right for it.
#[derive(Clone, Debug)]
struct Wanted {
    scope: &'static str,
    outcomes: Vec<&'static str>,
}

// === impl Expect ===

impl Expect {
    /// An answer with this status.
    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// The next entry of the header is this one.
    pub(crate) fn then(self, scope: &'static str, outcome: &'static str) -> Self {
        self.then_any(scope, &[outcome])
    }

    /// The next entry of the header is one of these.
    pub(crate) fn then_any(mut self, scope: &'static str, outcomes: &[&'static str]) -> Self {
        self.seen.get_or_insert_default().push(Wanted { scope, outcomes: outcomes.to_vec() });
        self
    }

    /// The cache had nothing to do.
    pub(crate) fn untouched(mut self) -> Self {
        self.seen = Some(Vec::new());
        self
    }

    /// The HTTP layer said this.
    pub(crate) fn page(mut self, words: &'static str) -> Self {
        self.page = Some(words);
        self
    }

    /// What it is about.
    pub(crate) fn about(&self) -> About {
        if self.page.is_some() { About::Page } else { About::Data }
    }

    /// The request read the database so often.
    pub(crate) fn loads(mut self, loads: u64) -> Self {
        self.loads = Some(loads);
        self
    }

    /// The JSON has this number.
    pub(crate) fn field(mut self, name: &'static str, value: u64) -> Self {
        self.fields.push((name, value));
        self
    }

    /// A read that the cache answered, so that nothing was loaded.
    pub(crate) fn hit(scope: &'static str, outcome: &'static str) -> Self {
        Self::status(200).then(scope, outcome).loads(0)
    }

    /// A read that went to the database.
    pub(crate) fn loaded(scope: &'static str) -> Self {
        Self::status(200).then(scope, LOADED).loads(1)
    }

    /// What differs, in sentences; nothing if all is as expected.
    pub(crate) fn differences(&self, answer: &Answer, loads_before: u64) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |what: &str, expected: String, found: String| {
            if expected != found {
                differences.push(format!("{what}: expected {expected}, found {found}"));
            }
        };
        compare("status", self.status.to_string(), answer.status.to_string());
        if let Some(wanted) = &self.seen
            && !matches(wanted, &answer.seen)
        {
            compare("x-cache", quoted(wanted), format!("`{}`", render(&answer.seen)));
        }
        if let Some(page) = self.page {
            let found = answer.page.as_ref().map_or("nothing", |seen| seen.outcome.as_str());
            compare("cache-status", format!("`{page}`"), format!("`{found}`"));
        }
        if let Some(loads) = self.loads {
            compare("loads", loads.to_string(), answer.loads.saturating_sub(loads_before).to_string());
        }
        for (name, value) in &self.fields {
            compare(
                name,
                value.to_string(),
                answer.number(name).map_or_else(|| "nothing".to_owned(), |found| found.to_string()),
            );
        }
        differences
    }
}

fn matches(wanted: &[Wanted], seen: &[Seen]) -> bool {
    let one = |(wanted, seen): (&Wanted, &Seen)| {
        wanted.scope == seen.scope && wanted.outcomes.contains(&seen.outcome.as_str())
    };
    wanted.len() == seen.len() && wanted.iter().zip(seen).all(one)
}

fn quoted(wanted: &[Wanted]) -> String {
    let entries: Vec<String> =
        wanted.iter().map(|wanted| format!("{}; {}", wanted.scope, wanted.outcomes.join(" or "))).collect();
    format!("`{}`", entries.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn answer() -> Answer {
        Answer {
            status: 200,
            seen: vec![Seen::new("product", LOCAL)],
            remote: Duration::ZERO,
            state: "local".into(),
            page: Some(Seen::new("storefront", "hit")),
            etag: None,
            loads: 4,
            body: json!({ "revision": 2 }),
            elapsed: Duration::from_secs(9),
        }
    }

    #[test]
    fn differences_of_what_was_expected_are_none() {
        let expect = Expect::hit("product", LOCAL).field("revision", 2);
        assert_eq!(expect.differences(&answer(), 4), Vec::<String>::new());
        assert_eq!(Expect::status(200).page("hit").differences(&answer(), 4), Vec::<String>::new());
        let either = Expect::status(200).then_any("product", &[REMOTE, LOCAL]);
        assert_eq!(either.differences(&answer(), 0), Vec::<String>::new());
    }

    #[test]
    fn differences_name_what_was_expected_and_found() {
        let expect = Expect::loaded("product").field("revision", 3).field("stock", 1);
        let differences = expect.differences(&answer(), 4);
        let wanted = [
            "x-cache: expected `product; miss; load=own`, found `product; hit; tier=local`",
            "loads: expected 1, found 0",
            "revision: expected 3, found 2",
            "stock: expected 1, found nothing",
        ];
        assert_eq!(differences, wanted);
        assert_eq!(Expect::status(404).differences(&answer(), 0), ["status: expected 404, found 200"]);
        let page = Expect::status(200).page("fwd=uri-miss; stored");
        assert_eq!(page.differences(&answer(), 0), ["cache-status: expected `fwd=uri-miss; stored`, found `hit`"]);
    }

    #[test]
    fn differences_count_entries_of_the_header() {
        assert_eq!(Expect::status(200).untouched().differences(&answer(), 0).len(), 1);
        assert_eq!(
            Expect::status(200).then("product", LOCAL).then("listing", EVICT).differences(&answer(), 0).len(),
            1
        );
    }
}
