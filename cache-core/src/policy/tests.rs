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
    assert_eq!((stock.ttl, stock.l1, stock.negative), (secs(60), Some(secs(30)), secs(10)));
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
    for name in ["fail_safe_unverified", "unverified", "early_refresh", "early", "max_bytes"] {
        assert_eq!(explained.source(name), Some("built in"), "{name}");
    }
    assert_eq!(explained.source("nonsense"), None);
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
fn negative_goes_by_the_ttl_of_the_call() {
    let mut tree = PolicyTree::default();
    tree.set("said", Policy::new().negative(secs(20))).unwrap();
    let of_call = |scope: &str, ttl, negative| {
        tree.resolve(scope).with(Overrides { ttl, negative, ..Overrides::default() }).negative
    };
    for (scope, ttl, negative, expected) in [
        ("other", None, None, secs(30)),
        ("other", Some(secs(5)), None, Duration::from_millis(500)),
        ("other", Some(hours(1)), None, secs(30)),
        ("said", None, None, secs(20)),
        ("said", Some(secs(5)), None, secs(5)),
        ("said", Some(mins(5)), None, secs(20)),
        ("said", Some(secs(5)), Some(secs(10)), secs(10)),
    ] {
        assert_eq!(of_call(scope, ttl, negative), expected, "{scope} {ttl:?} {negative:?}");
    }
}

#[test]
fn l1_is_as_long_as_a_value_is_of_use_unless_said() {
    let (none, said) = (Overrides::default(), Overrides { l1: Some(hours(1)), ..Overrides::default() });
    assert_eq!(tree().resolve("product").with(none).l1, Some(secs(30)));
    assert_eq!(tree().resolve("product").with(said).l1, Some(hours(1)));
    let mut tree = PolicyTree::default();
    tree.set_root(Policy::new().ttl(mins(5)).stale(mins(1)).fail_safe(mins(10))).unwrap();
    assert_eq!((tree.resolve("other").l1, tree.explain("other").l1()), (None, mins(15)));
}

#[test]
fn what_comes_after_freshness_is_off_unless_said_and_capped() {
    let resolved = tree().resolve("product");
    assert_eq!((resolved.stale, resolved.fail_safe, resolved.longest_life()), (secs(0), secs(0), mins(15)));
    let mut tree = tree();
    tree.set("product", Policy::new().ttl(mins(1)).stale(mins(2)).fail_safe(hours(5))).unwrap();
    let resolved = tree.resolve("product");
    assert_eq!((resolved.stale, resolved.fail_safe), (mins(2), hours(1)), "max_ttl caps them too");
    assert_eq!(resolved.longest_life(), mins(61));
    let shorter = resolved.with(Overrides { stale: Some(secs(1)), fail_safe: Some(secs(2)), ..Overrides::default() });
    assert_eq!((shorter.stale, shorter.fail_safe), (secs(1), secs(2)));
    assert!(tree.explain("product").to_string().contains("fail_safe  1h         scope product, capped by max_ttl"));
}

#[test]
fn an_early_refresh_is_the_earlier_the_longer_the_load_took() {
    let early = |early_refresh, load_time, draw| {
        let resolved = Resolved { early_refresh, ..PolicyTree::default().resolve("any") };
        resolved.early(secs(100), load_time, draw)
    };
    assert_eq!(early(EarlyRefresh::Off, secs(5), 0.5), secs(0));
    assert_eq!(early(EarlyRefresh::Fraction(0.75), secs(5), 0.5), secs(25));
    let half = 1.0_f64 / std::f64::consts::E;
    assert_eq!(early(EarlyRefresh::XFetch(2.0), secs(5), half), secs(10), "-ln(1/e) is 1");
    assert_eq!(early(EarlyRefresh::XFetch(1.0), secs(5), 1.0), secs(0));
    assert_eq!(early(EarlyRefresh::XFetch(1.0), secs(5), 0.0), secs(100), "never before the value itself");
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
        (Policy::new().early_refresh(EarlyRefresh::Fraction(1.5)), "a share between 0.1 and 0.99"),
        (Policy::new().early_refresh(EarlyRefresh::XFetch(0.0)), "between 0.1 and 100"),
        (Policy::new().max_loads(0), "max_loads is 0"),
        (Policy::new().soft(secs(2)).hard(secs(1)), "a soft timeout of 2s is over"),
        (Policy::new().ttl(hours(2)).max_ttl(hours(1)), "ttl 2h is over its own max_ttl 1h"),
    ];
    for (policy, words) in cases {
        let error = policy.validate("product").unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("`product`"), "{error}");
    }
}
