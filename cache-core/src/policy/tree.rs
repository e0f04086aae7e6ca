//! The policies of one cache by scope, and where each field of one came from.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{
    EarlyRefresh, Policy,
    resolved::{Resolved, negative_of},
};
use crate::{duration, error::Error};

const DEFAULT_TTL: Duration = duration::mins(5);
const DEFAULT_JITTER: f64 = 0.1;
const DEFAULT_MAX_TTL: Duration = duration::days(30);
/// A longer cap counts as this one: for ever, and still far from where times overflow.
const LONGEST_TTL: Duration = duration::days(36_500);
const DEFAULT_THROTTLE: Duration = duration::secs(1);
const DEFAULT_MAX_BYTES: usize = 8 << 20;

/// The policies of one cache by scope. Cloned and replaced as a whole when one is retuned.
#[derive(Clone, Debug, Default)]
pub(crate) struct PolicyTree {
    root: Policy,
    scopes: BTreeMap<String, Policy>,
}

/// One field of a scope's policy and where it was said.
struct Said<T> {
    value: T,
    source: String,
}

impl PolicyTree {
    pub(crate) fn set(&mut self, scope: &str, policy: Policy) -> Result<(), Error> {
        policy.validate(scope)?;
        self.scopes.insert(scope.to_owned(), policy);
        Ok(())
    }

    pub(crate) fn set_root(&mut self, policy: Policy) -> Result<(), Error> {
        policy.validate("(all)")?;
        self.root = policy;
        Ok(())
    }

    pub(crate) fn resolve(&self, scope: &str) -> Resolved {
        self.explain(scope).resolved
    }

    /// The policies that say something about `scope`, from the cache's own to the nearest.
    fn levels<'a>(&'a self, scope: &'a str) -> impl Iterator<Item = (&'a str, &'a Policy)> {
        let ends = scope.match_indices(':').map(|(at, _)| at).chain([scope.len()]);
        let named = ends.filter_map(|end| self.scopes.get_key_value(&scope[..end]));
        [("(all)", &self.root)].into_iter().chain(named.map(|(name, policy)| (name.as_str(), policy)))
    }

    /// The nearest word on a field.
    fn nearest<T: Copy>(&self, scope: &str, field: impl Fn(&Policy) -> Option<T>, default: T) -> Said<T> {
        let said = self.levels(scope).filter_map(|(name, policy)| Some((name, field(policy)?))).last();
        match said {
            Some((name, value)) => Said { value, source: format!("scope {name}") },
            None => Said { value: default, source: "built in".into() },
        }
    }

    /// The smallest word on a cap.
    fn smallest<T: Copy + Ord>(&self, scope: &str, field: impl Fn(&Policy) -> Option<T>, default: T) -> Said<T> {
        let said = self
            .levels(scope)
            .filter_map(|(name, policy)| Some((name, field(policy)?)))
            .min_by_key(|(_, value)| *value);
        match said {
            Some((name, value)) => Said { value, source: format!("scope {name}") },
            None => Said { value: default, source: "built in".into() },
        }
    }

    pub(crate) fn explain(&self, scope: &str) -> Explanation {
        let max_ttl = self.smallest(scope, |policy| policy.max_ttl.map(|cap| cap.min(LONGEST_TTL)), DEFAULT_MAX_TTL);
        let max_bytes = self.smallest(scope, |policy| policy.max_bytes, DEFAULT_MAX_BYTES);
        let jitter = self.nearest(scope, |policy| policy.jitter, DEFAULT_JITTER);
        let ttl = capped(self.nearest(scope, |policy| policy.ttl, DEFAULT_TTL), &max_ttl, "max_ttl");
        let l1 = self.nearest(scope, |policy| policy.l1.map(Some), None);
        let negative = self.nearest(scope, |policy| policy.negative.map(Some), None);
        let negative_is_said = negative.value.is_some();
        let negative = match negative {
            Said { value: Some(value), source } => capped(Said { value, source }, &max_ttl, "max_ttl"),
            Said { value: None, .. } => {
                Said { value: negative_of(ttl.value), source: "a tenth of ttl, at most 30s".into() }
            }
        };
        let warm_up = match self.nearest(scope, |policy| policy.warm_up.map(Some), None) {
            Said { value: Some(value), source } => {
                capped(Said { value, source }, &Said { value: ttl.value / 2, source: "a half of it".into() }, "ttl")
            }
            Said { value: None, .. } => Said { value: Duration::ZERO, source: "built in".into() },
        };
        let zero = Duration::ZERO;
        let after =
            |field: fn(&Policy) -> Option<Duration>| capped(self.nearest(scope, field, zero), &max_ttl, "max_ttl");
        let (stale, fail_safe) = (after(|policy| policy.stale), after(|policy| policy.fail_safe));
        let unverified = self.nearest(scope, |policy| policy.fail_safe_unverified, false);
        let throttle = self.nearest(scope, |policy| policy.throttle, DEFAULT_THROTTLE);
        let backoff = self.nearest(scope, |policy| policy.backoff, zero);
        let soft = self.nearest(scope, |policy| policy.soft.map(Some), None);
        let hard = self.nearest(scope, |policy| policy.hard.map(Some), None);
        let early_refresh = self.nearest(scope, |policy| policy.early_refresh, EarlyRefresh::Off);
        let max_loads = self.nearest(scope, |policy| policy.max_loads.map(Some), None);
        let rows = vec![
            Row::new("ttl", duration::display(ttl.value), &ttl.source),
            Row::new("l1", l1.value.map_or("all of it".into(), duration::display), &l1.source),
            Row::new("negative", duration::display(negative.value), &negative.source),
            Row::new("jitter", jitter.value.to_string(), &jitter.source),
            Row::new("stale", or_off(stale.value), &stale.source),
            Row::new("fail_safe", or_off(fail_safe.value), &fail_safe.source),
            Row::new("unverified", if unverified.value { "served" } else { "off" }.into(), &unverified.source),
            Row::new("throttle", duration::display(throttle.value), &throttle.source),
            Row::new("backoff", or_off(backoff.value), &backoff.source),
            Row::new("soft", soft.value.map_or("off".into(), duration::display), &soft.source),
            Row::new("hard", hard.value.map_or("off".into(), duration::display), &hard.source),
            Row::new("early", early_refresh.value.to_string(), &early_refresh.source),
            Row::new("warm_up", or_off(warm_up.value), &warm_up.source),
            Row::new("max_loads", max_loads.value.map_or("any".into(), |loads| loads.to_string()), &max_loads.source),
            Row::new("max_ttl", duration::display(max_ttl.value), &max_ttl.source),
            Row::new("max_bytes", max_bytes.value.to_string(), &max_bytes.source),
        ];
        let resolved = Resolved {
            ttl: ttl.value,
            l1: l1.value,
            negative: negative.value,
            negative_is_said,
            jitter: jitter.value,
            stale: stale.value,
            fail_safe: fail_safe.value,
            fail_safe_unverified: unverified.value,
            throttle: throttle.value,
            backoff: backoff.value,
            soft: soft.value,
            hard: hard.value,
            early_refresh: early_refresh.value,
            max_loads: max_loads.value,
            warm_up: warm_up.value,
            max_ttl: max_ttl.value,
            max_bytes: max_bytes.value,
        };
        Explanation { scope: scope.to_owned(), rows, resolved }
    }
}

/// A time, of which none is the same as not at all.
fn or_off(time: Duration) -> String {
    if time.is_zero() { "off".to_owned() } else { duration::display(time) }
}

impl fmt::Display for EarlyRefresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::XFetch(beta) => write!(f, "xfetch {beta}"),
            Self::Fraction(share) => write!(f, "at {share}"),
        }
    }
}

fn capped(said: Said<Duration>, cap: &Said<Duration>, name: &str) -> Said<Duration> {
    if said.value <= cap.value {
        return said;
    }
    let source = format!("{}, capped by {name} ({})", said.source, cap.source);
    Said { value: cap.value, source }
}

#[derive(Clone, Debug)]
struct Row {
    field: &'static str,
    value: String,
    source: String,
}

impl Row {
    fn new(field: &'static str, value: String, source: &str) -> Self {
        Self { field, value, source: source.to_owned() }
    }
}

/// The policy of a scope, each field with where it came from. `Display` prints it as a table.
#[derive(Clone, Debug)]
pub struct Explanation {
    scope: String,
    rows: Vec<Row>,
    resolved: Resolved,
}

impl Explanation {
    /// How long values of the scope are fresh, before jitter.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.resolved.ttl
    }

    /// How long this process keeps them.
    #[must_use]
    pub fn l1(&self) -> Duration {
        let life = self.resolved.longest_life();
        self.resolved.l1.map_or(life, |l1| l1.min(life))
    }

    /// The same where there is no other tier, and `l1` is not looked at.
    pub(crate) fn with_one_tier(mut self) -> Self {
        self.resolved.l1 = None;
        if let Some(row) = self.rows.iter_mut().find(|row| row.field == "l1") {
            *row = Row::new("l1", "all of it".into(), "no other tier");
        }
        self
    }

    /// How long *nothing* is kept.
    #[must_use]
    pub fn negative(&self) -> Duration {
        self.resolved.negative
    }

    /// Where the field of that name came from, if there is such a field: by its word in the table, or by its name in
    /// [`Policy`].
    #[must_use]
    pub fn source(&self, field: &str) -> Option<&str> {
        let field = match field {
            "fail_safe_unverified" => "unverified",
            "early_refresh" => "early",
            field => field,
        };
        self.rows.iter().find(|row| row.field == field).map(|row| row.source.as_str())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scope {}", self.scope)?;
        for Row { field, value, source } in &self.rows {
            write!(f, "\n  {field:<10} {value:<10} {source}")?;
        }
        Ok(())
    }
}
