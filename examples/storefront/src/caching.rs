//! The cache of this service: how long things live, scope by scope.

use std::time::Duration;

use cache_core::{Cache, Error, Policy, millis, mins, secs};

/// What a call to the cache may spend on Redis. A request makes at most four such calls (a page that nobody keeps: two of the
/// layer, and one for each function behind it), so that it stays below 50 ms in all.
pub(crate) const BUDGET: Duration = millis(12);
/// An update that was acknowledged longer ago than this is seen by every process, whatever happens to Redis.
pub(crate) const BOUND: Duration = secs(1);

/// Builds the cache; without a Redis it is this process's own.
pub(crate) async fn build(namespace: &str, redis: Option<&str>, budget: Duration) -> Result<Cache, Error> {
    let mut builder = Cache::builder(namespace)
        .policy(Policy::new().ttl(mins(5)).l1(secs(30)).jitter(0.1))
        // A scope inherits what it does not say, field by field: `/explain/product:stock` shows from where.
        .scope("product", Policy::new().ttl(mins(15)).negative(secs(10)))
        .scope("product:stock", Policy::new().ttl(secs(10)))
        .scope("listing", Policy::new().ttl(mins(2)))
        .scope("search", Policy::new().ttl(mins(1)))
        .scope("top", Policy::new().ttl(mins(10)).l1(mins(1)))
        .scope("categories", Policy::new().ttl(mins(30)).l1(mins(5)))
        .bound(BOUND)
        .budget(budget);
    if let Some(url) = redis {
        // The server must tell of changed keys. Where it does not yet, it is asked to; what is set already stays.
        builder = builder.redis(url).ensure_notifications();
    }
    builder.build().await
}
