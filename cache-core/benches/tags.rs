//! What evicting a tag costs, with one entry under it and with a million: `cargo bench -p cache-core --bench tags`.
//!
//! Each line is `name<TAB>ns`. The entries are in L1; evicting a tag moves one number, and each entry compares at its next use.

#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and reads the clock"
)]

use std::{convert::Infallible, io::Write, time::Instant};

use cache_core::{Cache, Key, Policy, hours};

const MANY: u64 = 1_000_000;
const ROUNDS: usize = 1_001;

async fn fill(cache: &Cache, tag: &Key, ids: std::ops::Range<u64>) {
    for id in ids {
        let request = cache.entry(Key::new("item").arg(id)).tag(tag.clone());
        let Ok(_entry) = request.or_load_inline(|| async move { Ok::<_, Infallible>(id) }).await;
    }
}

/// The first eviction, and the median of many.
async fn evict(cache: &Cache, tag: &Key) -> (u128, u128) {
    let mut nanos = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let _ack = cache.evict_tag(tag.clone()).await;
        nanos.push(start.elapsed().as_nanos());
    }
    let first = nanos[0];
    nanos.sort_unstable();
    (first, nanos[ROUNDS / 2])
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let policy = Policy::new().ttl(hours(1)).jitter(0.0);
    let cache = Cache::builder("bench").policy(policy).local_entries(2 * MANY).build().await?;
    let (one, many) = (Key::new("tag").arg("one"), Key::new("tag").arg("many"));
    fill(&cache, &one, 0..1).await;
    fill(&cache, &many, 1..MANY + 1).await;
    let ids: Vec<Key> = (0..=MANY).step_by(997).map(|id| Key::new("item").arg(id)).collect();
    let present = |found: Vec<Option<u64>>| found.into_iter().flatten().count();
    let before = present(cache.get_many(&ids).await);

    let mut out = std::io::stdout().lock();
    writeln!(out, "warm-up\t{}", evict(&cache, &Key::new("tag").arg("none")).await.1)?;
    let (first_one, median_one) = evict(&cache, &one).await;
    let (first_many, median_many) = evict(&cache, &many).await;
    writeln!(out, "evict_tag, 1 entry, first\t{first_one}\nevict_tag, 1 entry\t{median_one}")?;
    writeln!(out, "evict_tag, {MANY} entries, first\t{first_many}\nevict_tag, {MANY} entries\t{median_many}")?;
    let after = present(cache.get_many(&ids).await);
    writeln!(out, "of {} sampled entries present before: {before}, after: {after}", ids.len())?;
    assert_eq!(after, 0, "every entry under the tags is gone");
    Ok(())
}
