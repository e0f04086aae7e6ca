//! Every way to take `self`, and where a body's `self` is named.

#![deny(warnings)]

use std::{fmt, pin::Pin, sync::Arc};

use cache_core::{Cache, cache_evict, cacheable, observe};

#[derive(Clone)]
struct Shared {
    cache: Cache,
    tenant: u32,
}

/// Not `Clone`: its loads run in the caller.
struct Single {
    cache: Cache,
    name: String,
}

/// Holds a lifetime, and is not `Clone`.
struct Borrowing<'a> {
    cache: &'a Cache,
}

/// Holds a lifetime and is `Clone`: only `inline` can say that it does not live long enough for a task.
#[derive(Clone)]
struct Lending<'a> {
    cache: &'a Cache,
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tenant {}", self.tenant)
    }
}

impl Shared {
    #[cacheable(key = "shared:borrowed:{self.tenant}:{id}")]
    async fn borrowed(&self, id: u64) -> String {
        struct Other(u64);
        impl Other {
            fn get(&self) -> u64 {
                self.0
            }
        }
        let other = Other(id).get();
        let twice = [1, 2].map(|n| u64::from(self.tenant) * n);
        format!("{self} {self:>12} {{self}} {other} {twice:?} {}", self::helper(self))
    }

    #[cacheable(key = "shared:arc:{self.tenant}:{id}")]
    async fn arc(self: Arc<Self>, id: u64) -> u64 {
        u64::from(self.tenant) + id
    }

    #[cacheable(key = "shared:lent-arc:{self.tenant}:{id}")]
    async fn lent_arc(self: &Arc<Self>, id: u64) -> u64 {
        u64::from(self.tenant) + id + Arc::strong_count(self) as u64 * 0
    }

    #[cacheable(key = "shared:moved:{self.tenant}:{id}")]
    async fn moved(mut self, id: u64) -> u64 {
        self.tenant += 1;
        u64::from(self.tenant) + id
    }

    #[cacheable(key = "shared:explicit:{id}")]
    async fn explicit(self: &Self, id: u64) -> u64 {
        u64::from(self.tenant) + id
    }

    #[cacheable(key = "shared:exclusive:{id}")]
    async fn exclusive(&mut self, id: u64) -> u64 {
        self.tenant += 1;
        u64::from(self.tenant) + id
    }

    #[cacheable(key = "shared:pinned:{id}", cache = self.cache.clone())]
    async fn pinned(self: Pin<&mut Self>, id: u64) -> u64 {
        u64::from(self.tenant) + id
    }

    #[cache_evict(key = "shared:exclusive:{id}")]
    async fn evict(&mut self, id: u64) {
        self.tenant += id as u32;
    }
}

fn helper(shared: &Shared) -> u32 {
    shared.tenant
}

impl Single {
    #[cacheable(key = "single:{id}")]
    async fn borrowed(&self, id: u64) -> String {
        tokio::task::yield_now().await;
        format!("{}{id}", self.name)
    }
}

impl<'a> Borrowing<'a> {
    #[cacheable(key = "borrowing:{id}")]
    async fn borrowed(&self, id: u64) -> u64 {
        tokio::task::yield_now().await;
        id
    }

    #[cacheable(key = "borrowing:named:{id}")]
    async fn named(&'a self, id: u64) -> u64 {
        id
    }
}

impl Lending<'_> {
    #[cacheable(key = "lending:{id}", inline)]
    async fn borrowed(&self, id: u64) -> u64 {
        tokio::task::yield_now().await;
        id
    }
}

/// The second call is a hit, and both say the same.
macro_rules! hits {
    ($($call:expr),+ $(,)?) => {$(
        let first = is_send($call).await;
        let (second, seen) = observe($call).await;
        assert_eq!(first, second);
        assert_eq!(seen[0].outcome.to_string(), "hit; tier=local", stringify!($call));
    )+};
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let cache = Cache::in_memory();
    let shared = Shared { cache: cache.clone(), tenant: 3 };
    let mut other = shared.clone();
    let single = Single { cache: cache.clone(), name: "s".to_owned() };
    let arc = Arc::new(shared.clone());
    let borrowing = Borrowing { cache: &cache };
    let lending = Lending { cache: &cache };
    assert_eq!(shared.borrowed(7).await, "tenant 3 tenant 3 {self} 7 [3, 6] 3");
    hits!(
        shared.borrowed(7),
        Arc::clone(&arc).arc(7),
        arc.lent_arc(7),
        shared.clone().moved(7),
        shared.explicit(7),
        other.exclusive(7),
        single.borrowed(7),
        borrowing.borrowed(7),
        borrowing.named(7),
        lending.borrowed(7),
        Pin::new(&mut other).pinned(7),
    );
    other.evict(7).await;
    let (_, seen) = observe(other.exclusive(7)).await;
    assert_eq!(seen[0].outcome.to_string(), "miss; load=own");
}
