//! What the RFCs say of a shared cache, as tables: each row names its section, says in a sentence what must be so (or may be, and
//! is so here), and is a small script that is run against a layer over a scripted origin. `script` has the language.
#![allow(clippy::disallowed_methods, reason = "tests measure real time and start their own tasks")]
#![allow(clippy::needless_raw_string_hashes, reason = "one form for all scripts, so that a quote may be added to any")]

mod age;
mod authorization;
mod cache_status;
mod collapse;
mod conditional;
mod flows;
mod following;
mod freshness;
mod groups;
mod harness;
mod head;
mod hop_by_hop;
mod identity;
mod invalidation;
mod parts;
mod patience;
mod random;
mod ranges;
mod request_directives;
mod reuse;
mod script;
mod security;
mod soft;
mod stale;
mod storing;
mod targeted;
mod trailers_and_streams;
mod validation;
mod vary;

use harness::Row;

/// All tables.
const TABLES: &[&[Row]] = &[
    age::AGE,
    authorization::AUTHORIZATION,
    cache_status::CACHE_STATUS,
    conditional::CONDITIONS,
    freshness::HEURISTIC,
    freshness::MALFORMED,
    freshness::PRECEDENCE,
    groups::GROUPS,
    groups::TAGS,
    head::HEAD,
    hop_by_hop::HOP_BY_HOP,
    identity::IDENTITY,
    invalidation::INVALIDATION,
    parts::CARE_WITH_PARTS,
    parts::FROM_PARTS,
    ranges::FROM_WHOLE,
    request_directives::REQUEST_DIRECTIVES,
    reuse::KEYS,
    reuse::REUSE,
    security::LEAKS,
    security::POISON,
    soft::PURGED,
    stale::IF_ERROR,
    stale::UNREACHABLE,
    stale::WHILE_REVALIDATE,
    storing::METHODS,
    storing::POLICY,
    storing::STORING,
    targeted::TARGETED,
    trailers_and_streams::BODIES,
    validation::ANSWERS,
    validation::ASKING,
    validation::CLIENTS_OWN,
    vary::VARY,
];

/// `cargo test -p cache-tower --test conformance tables -- --nocapture` prints how many there are.
#[test]
fn tables_have_their_size() {
    let rows: Vec<&Row> = TABLES.iter().copied().flatten().collect();
    let cases: usize = rows.iter().map(|row| row.cases()).sum();
    let required: usize = rows.iter().filter(|row| row.is_required()).map(|row| row.cases()).sum();
    println!("{} rows, {cases} cases, {required} of them required", rows.len());
    assert!(rows.len() >= 200 && cases >= 600, "{} rows, {cases} cases", rows.len());
}
