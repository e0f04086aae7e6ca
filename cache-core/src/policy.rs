//! The TTL hierarchy: one policy for the cache, one for each scope that differs, inherited field by field.
//!
//! A scope is the literal head of a key (`product:stock`). Its policy is put together from the built-in defaults, the
//! cache's own policy, and the policies of each level of the scope, the nearest one winning; then what a call site says;
//! then the caps, which nothing overrides. [`Cache::explain`](crate::Cache::explain) prints where each field came from.
//!
//! ```
//! use cache_core::{Policy, mins, secs};
//!
//! let policy = Policy::new().ttl(mins(5)).l1(secs(30)).negative(secs(10)).jitter(0.1).max_ttl(mins(30));
//! ```

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{duration, error::Error, key::ScopeId};

/// How long values of a scope live. A field that is not set is inherited.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    ttl: Option<Duration>,
    l1: Option<Duration>,
    negative: Option<Duration>,
    jitter: Option<f64>,
    warm_up: Option<Duration>,
    max_ttl: Option<Duration>,
    max_bytes: Option<usize>,
}

impl Policy {
    /// A policy that inherits everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a value is fresh, in every tier. Default: 5 minutes.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How long this process may keep a value, at most as long as it is fresh. Default: as long as it is fresh.
    #[must_use]
    pub fn l1(mut self, l1: Duration) -> Self {
        self.l1 = Some(l1);
        self
    }

    /// How long *nothing* (`None`) and errors chosen by `cache_err` are kept. Default: a tenth of the TTL, at most 30 s.
    /// Zero: not at all.
    #[must_use]
    pub fn negative(mut self, negative: Duration) -> Self {
        self.negative = Some(negative);
        self
    }

    /// Spreads expiry: each TTL is shortened by a share drawn once from `0..=jitter`, so that values stored together do not
    /// expire together. Between 0 and 0.5. Default: 0.1.
    #[must_use]
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = Some(jitter);
        self
    }

    /// How long before a value ends to be fresh it is loaded again, so that its next reader finds it warm; of those that are
    /// asked for with a load that can be repeated ([`Request::or_load_warm`](crate::Request::or_load_warm)). At most half of
    /// the TTL counts. Default: zero, not at all.
    #[must_use]
    pub fn warm_up(mut self, ahead: Duration) -> Self {
        self.warm_up = Some(ahead);
        self
    }

    /// A cap on every TTL at and below this scope, which no nearer policy, call site or `ttl_with` overrides. Of several caps
    /// the smallest counts. At most 36,500 days. Default: 30 days.
    #[must_use]
    pub fn max_ttl(mut self, max_ttl: Duration) -> Self {
        self.max_ttl = Some(max_ttl);
        self
    }

    /// The largest encoded value, in bytes; a larger one is returned but not stored in Redis. A cap, as
    /// [`max_ttl`](Self::max_ttl) is. Default: 8 MiB.
    #[must_use]
    pub fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = Some(max_bytes);
        self
    }

    /// Whether the numbers make sense, told with the name of the scope that carries them.
    pub(crate) fn validate(&self, scope: &str) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::config("policy", format!("scope `{scope}`: {what}")));
        if let Some(jitter) = self.jitter
            && !(0.0..=0.5).contains(&jitter)
        {
            return refuse(format!("jitter is {jitter}; it is a share of the TTL between 0 and 0.5"));
        }
        if self.ttl == Some(Duration::ZERO) {
            return refuse(
                "a ttl of zero stores nothing; leave the attribute away, or use `when`, to bypass the cache".into(),
            );
        }
        if self.max_bytes == Some(0) {
            return refuse("max_bytes is 0, so that nothing could be stored".into());
        }
        if let (Some(ttl), Some(cap)) = (self.ttl, self.max_ttl)
            && ttl > cap
        {
            let (ttl, cap) = (duration::display(ttl), duration::display(cap));
            return refuse(format!("ttl {ttl} is over its own max_ttl {cap}"));
        }
        Ok(())
    }
}

/// Refuses what is no scope's name.
pub(crate) fn check_scope(scope: &str) -> Result<(), Error> {
    if ScopeId::is_valid(scope) {
        return Ok(());
    }
    let detail = format!(
        "`{scope}` is no scope: it is the literal head of a key template, segments of 1 to 64 of a-z, 0-9, `.`, `_`, `-`, joined \
         by `:`"
    );
    Err(Error::config("scope", detail))
}

/// What a call site says about its own calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overrides {
    /// As [`Policy::ttl`].
    pub ttl: Option<Duration>,
    /// As [`Policy::l1`].
    pub l1: Option<Duration>,
    /// As [`Policy::negative`].
    pub negative: Option<Duration>,
    /// For how long after it was fresh a value is still served while a new one is loaded.
    pub stale: Option<Duration>,
    /// For how long after it was fresh a value is served when a load fails.
    pub fail_safe: Option<Duration>,
    /// How long a load is waited for where there is an old value to serve instead.
    pub soft: Option<Duration>,
    /// How long a load is waited for at all.
    pub hard: Option<Duration>,
}

/// A policy with every question answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) ttl: Duration,
    pub(crate) l1: Duration,
    pub(crate) negative: Duration,
    pub(crate) jitter: f64,
    pub(crate) warm_up: Duration,
    pub(crate) max_ttl: Duration,
    pub(crate) max_bytes: usize,
}

const DEFAULT_TTL: Duration = duration::mins(5);
const DEFAULT_NEGATIVE_CAP: Duration = duration::secs(30);
const DEFAULT_JITTER: f64 = 0.1;
const DEFAULT_MAX_TTL: Duration = duration::days(30);
/// A longer cap counts as this one: for ever, and still far from where times overflow.
const LONGEST_TTL: Duration = duration::days(36_500);
const DEFAULT_MAX_BYTES: usize = 8 << 20;

impl Resolved {
    /// What a call site's own words make of it; the caps still hold.
    pub(crate) fn with(self, overrides: Overrides) -> Self {
        let ttl = overrides.ttl.unwrap_or(self.ttl).min(self.max_ttl);
        Self {
            ttl,
            warm_up: self.warm_up.min(ttl / 2),
            l1: overrides.l1.unwrap_or(if overrides.ttl.is_some() { self.l1.max(ttl) } else { self.l1 }).min(ttl),
            negative: overrides.negative.unwrap_or(self.negative).min(self.max_ttl),
            ..self
        }
    }

    /// The longest that anything stored under this policy is of use.
    pub(crate) fn longest_life(&self) -> Duration {
        self.ttl.max(self.negative)
    }

    /// `ttl` after jitter, with `draw` between 0 and 1.
    pub(crate) fn jittered(&self, ttl: Duration, draw: f64) -> Duration {
        ttl.mul_f64(1.0 - self.jitter * draw.clamp(0.0, 1.0))
    }
}

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
        let l1 = match self.nearest(scope, |policy| policy.l1.map(Some), None) {
            Said { value: Some(value), source } => capped(Said { value, source }, &ttl, "ttl"),
            Said { value: None, .. } => Said { value: ttl.value, source: "as long as ttl".into() },
        };
        let negative = match self.nearest(scope, |policy| policy.negative.map(Some), None) {
            Said { value: Some(value), source } => capped(Said { value, source }, &max_ttl, "max_ttl"),
            Said { value: None, .. } => {
                Said { value: (ttl.value / 10).min(DEFAULT_NEGATIVE_CAP), source: "a tenth of ttl, at most 30s".into() }
            }
        };
        let warm_up = match self.nearest(scope, |policy| policy.warm_up.map(Some), None) {
            Said { value: Some(value), source } => {
                capped(Said { value, source }, &Said { value: ttl.value / 2, source: "a half of it".into() }, "ttl")
            }
            Said { value: None, .. } => Said { value: Duration::ZERO, source: "built in".into() },
        };
        let shown = if warm_up.value.is_zero() { "off".to_owned() } else { duration::display(warm_up.value) };
        let rows = vec![
            Row::new("ttl", duration::display(ttl.value), &ttl.source),
            Row::new("l1", duration::display(l1.value), &l1.source),
            Row::new("negative", duration::display(negative.value), &negative.source),
            Row::new("jitter", jitter.value.to_string(), &jitter.source),
            Row::new("warm_up", shown, &warm_up.source),
            Row::new("max_ttl", duration::display(max_ttl.value), &max_ttl.source),
            Row::new("max_bytes", max_bytes.value.to_string(), &max_bytes.source),
        ];
        let resolved = Resolved {
            ttl: ttl.value,
            l1: l1.value,
            negative: negative.value,
            jitter: jitter.value,
            warm_up: warm_up.value,
            max_ttl: max_ttl.value,
            max_bytes: max_bytes.value,
        };
        Explanation { scope: scope.to_owned(), rows, resolved }
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
        self.resolved.l1
    }

    /// How long *nothing* is kept.
    #[must_use]
    pub fn negative(&self) -> Duration {
        self.resolved.negative
    }

    /// Where the field of that name came from, if there is such a field.
    #[must_use]
    pub fn source(&self, field: &str) -> Option<&str> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duration::{hours, mins, secs};

    fn tree() -> PolicyTree {
        let mut tree = PolicyTree::default();
        tree.set_root(Policy::new().ttl(mins(5)).l1(secs(30)).max_ttl(hours(1))).unwrap();
        tree.set("product", Policy::new().ttl(mins(15)).negative(secs(10))).unwrap();
        tree.set("product:stock", Policy::new().ttl(secs(60))).unwrap();
        tree
    }

    #[test]
    fn resolve_inherits_field_by_field() {
        let stock = tree().resolve("product:stock");
        assert_eq!((stock.ttl, stock.l1, stock.negative), (secs(60), secs(30), secs(10)));
        assert_eq!(tree().resolve("product:price:eur").ttl, mins(15));
        assert_eq!(tree().resolve("products").ttl, mins(5), "a prefix of a name is not a level");
    }

    #[test]
    fn warm_up_is_off_unless_said_and_at_most_half_of_the_ttl() {
        assert_eq!(tree().resolve("product").warm_up, Duration::ZERO);
        assert!(tree().explain("product").to_string().contains("warm_up    off        built in"));
        let mut tree = tree();
        tree.set("product", Policy::new().ttl(mins(2)).warm_up(secs(90))).unwrap();
        assert_eq!(tree.resolve("product").warm_up, mins(1));
        assert_eq!(tree.resolve("product:stock").warm_up, secs(30), "of its own, shorter ttl");
        let of_a_call = tree.resolve("product").with(Overrides { ttl: Some(secs(10)), ..Overrides::default() });
        assert_eq!(of_a_call.warm_up, secs(5));
    }

    #[test]
    fn explain_names_the_source_of_each_field() {
        let explained = tree().explain("product:stock");
        assert_eq!(explained.source("ttl"), Some("scope product:stock"));
        assert_eq!(explained.source("negative"), Some("scope product"));
        assert_eq!(explained.source("l1"), Some("scope (all)"));
        assert_eq!(explained.source("jitter"), Some("built in"));
        assert!(explained.to_string().contains("ttl        1m         scope product:stock"), "{explained}");
    }

    #[test]
    fn caps_hold_against_scopes_and_call_sites() {
        let mut tree = tree();
        tree.set("report", Policy::new().ttl(hours(9))).unwrap();
        let report = tree.resolve("report");
        assert_eq!(report.ttl, hours(1));
        assert!(tree.explain("report").source("ttl").is_some_and(|source| source.contains("capped by max_ttl")));
        let overrides = Overrides { ttl: Some(hours(2)), ..Overrides::default() };
        assert_eq!(report.with(overrides).ttl, hours(1));
    }

    #[test]
    fn l1_never_outlives_the_ttl() {
        let overrides = Overrides { ttl: Some(secs(5)), ..Overrides::default() };
        assert_eq!(tree().resolve("product").with(overrides).l1, secs(5));
        assert_eq!(tree().resolve("other").with(Overrides { l1: Some(hours(1)), ..Overrides::default() }).l1, mins(5));
    }

    #[test]
    fn jitter_only_shortens() {
        let resolved = tree().resolve("product");
        assert_eq!(resolved.jittered(secs(100), 1.0), secs(90));
        assert_eq!(resolved.jittered(secs(100), 0.0), secs(100));
    }

    #[test]
    fn validate_names_the_scope_and_the_fault() {
        let cases = [
            (Policy::new().jitter(0.9), "jitter is 0.9"),
            (Policy::new().ttl(Duration::ZERO), "a ttl of zero"),
            (Policy::new().max_bytes(0), "max_bytes is 0"),
            (Policy::new().ttl(hours(2)).max_ttl(hours(1)), "ttl 2h is over its own max_ttl 1h"),
        ];
        for (policy, words) in cases {
            let error = policy.validate("product").unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("`product`"), "{error}");
        }
    }
}
