//! Methods under `#[async_trait]`, which turns them into functions that return boxed futures before an attribute sees them.

#![deny(warnings)]

use std::{
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Waker},
};

use async_trait::async_trait;
use cache_core::{Cache, KeyPart, TimedOut, cache_evict, cache_put, cacheable, observe};

#[derive(Clone, Debug, PartialEq)]
struct Failed;

impl From<TimedOut> for Failed {
    fn from(_: TimedOut) -> Self {
        Failed
    }
}

#[derive(Clone, KeyPart)]
struct Page {
    number: u32,
    size: u32,
}

struct Path<T>(T);

#[async_trait]
trait Store: Send + Sync {
    async fn find(&self, id: u64) -> Result<Option<u64>, Failed>;
    async fn text(&self, text: &str, list: &[u64], some: Option<&str>, mut more: String) -> String;
    async fn pattern(&self, Path(id): Path<u64>, Page { number, size }: Page, _: u8) -> u64;
    async fn lent_pattern(&self, pair: &(u8, u8)) -> u8;
    async fn borrowed(&self, page: std::borrow::Cow<'_, str>) -> usize;
    async fn named<'a>(&'a self, text: &'a str) -> usize;
    async fn exclusive(&mut self, id: u64) -> u64;
    async fn arc(self: Arc<Self>, id: u64) -> u64;
    async fn of_type<T: ToString + KeyPart + Send + Sync + 'static>(&self, value: T) -> String
    where
        Self: Sized;
    async fn any(&self, text: impl AsRef<str> + Send + Sync + 'static, id: u64) -> usize
    where
        Self: Sized;
    async fn free(id: u64) -> u64
    where
        Self: Sized;
    async fn save(&self, Path(id): Path<u64>, value: u64) -> Result<Option<u64>, Failed>;
    async fn forget(&self, Path(id): Path<u64>);

    /// A default has no field: it names its cache.
    #[cacheable(key = "default:{Self}:{id}", cache = self.cache_of())]
    async fn default(&self, id: u64) -> u64 {
        id + self.extra()
    }

    fn extra(&self) -> u64 {
        1
    }

    fn cache_of(&self) -> Cache;
}

#[derive(Clone)]
struct Repo {
    cache: Cache,
    tenant: u64,
}

#[async_trait]
impl Store for Repo {
    #[cacheable(key = "find:{self.tenant}:{id}", ttl = "1m", stale = "1h", soft = "1s", hard = "5s", when = self.tenant > 0)]
    async fn find(&self, id: u64) -> Result<Option<u64>, Failed> {
        if id == 0 {
            return Ok(None);
        }
        let one = self.exclusive_of(id).await?;
        Ok(Some(one + self.tenant))
    }

    #[cacheable(key = "text:{text}:{list}:{some}:{more}", stale = "1h")]
    async fn text(&self, text: &str, list: &[u64], some: Option<&str>, mut more: String) -> String {
        more.push('!');
        tokio::task::yield_now().await;
        format!("{text}{list:?}{some:?}{more}")
    }

    #[cacheable(key = "pattern:{id}:{number}:{size}", stale = "1h")]
    async fn pattern(&self, Path(id): Path<u64>, Page { number, size }: Page, _: u8) -> u64 {
        id + u64::from(number * size) + self.tenant
    }

    #[cacheable(key = "lent-pattern:{a}:{b}")]
    async fn lent_pattern(&self, &(a, b): &(u8, u8)) -> u8 {
        a + b
    }

    #[cacheable(key = "borrowed:{page}")]
    async fn borrowed(&self, page: std::borrow::Cow<'_, str>) -> usize {
        page.len()
    }

    #[cacheable(key = "named:{text}", stale = "1h")]
    async fn named<'a>(&'a self, text: &'a str) -> usize {
        text.len()
    }

    #[cacheable(key = "exclusive:{id}")]
    async fn exclusive(&mut self, id: u64) -> u64 {
        self.tenant += 1;
        id
    }

    #[cacheable(key = "arc:{self.tenant}:{id}", stale = "1h")]
    async fn arc(self: Arc<Self>, id: u64) -> u64 {
        id + self.tenant
    }

    #[cacheable(key = "of-type:{T}:{value}", stale = "1h")]
    async fn of_type<T: ToString + KeyPart + Send + Sync + 'static>(&self, value: T) -> String {
        value.to_string()
    }

    #[cacheable(key = "any:{id}", skip(text))]
    async fn any(&self, text: impl AsRef<str> + Send + Sync + 'static, id: u64) -> usize {
        text.as_ref().len() + id as usize
    }

    #[cacheable]
    async fn free(id: u64) -> u64 {
        id
    }

    #[cache_evict(tags = ["saved:{it}"], key = "pattern:{id}")]
    #[cache_put(key = "find:{self.tenant}:{id}")]
    async fn save(&self, Path(id): Path<u64>, value: u64) -> Result<Option<u64>, Failed> {
        let _ = id;
        Ok(Some(value))
    }

    #[cache_evict(key = "find:{self.tenant}:{id}")]
    async fn forget(&self, Path(id): Path<u64>) {
        let _ = id;
    }

    fn cache_of(&self) -> Cache {
        self.cache.clone()
    }
}

impl Repo {
    async fn exclusive_of(&self, id: u64) -> Result<u64, Failed> {
        tokio::task::yield_now().await;
        Ok(id)
    }
}

#[async_trait(?Send)]
trait Local {
    async fn count(&self, id: u64) -> u64;
}

struct Counter {
    cache: Cache,
    count: Rc<u64>,
}

#[async_trait(?Send)]
impl Local for Counter {
    #[cacheable(key = "local:{id}")]
    async fn count(&self, id: u64) -> u64 {
        let count = Rc::clone(&self.count);
        tokio::task::yield_now().await;
        id + *count
    }
}

/// The second call is a hit, and both say the same.
macro_rules! hits {
    ($($call:expr),+ $(,)?) => {$(
        let first = $call.await;
        let (second, seen) = observe($call).await;
        assert_eq!(first, second);
        assert_eq!(seen[0].outcome.to_string(), "hit; tier=local", stringify!($call));
    )+};
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let cache = Cache::in_memory();
    let mut repo = Repo { cache: cache.clone(), tenant: 3 };
    let mut other = repo.clone();
    let counter = Counter { cache: cache.clone(), count: Rc::new(1) };
    let page = || Page { number: 2, size: 5 };
    hits!(
        repo.find(7),
        repo.find(0),
        repo.text("a", &[1], Some("b"), "c".to_owned()),
        repo.pattern(Path(1), page(), 0),
        repo.lent_pattern(&(1, 2)),
        repo.borrowed("abc".into()),
        repo.named("abc"),
        other.exclusive(7),
        Arc::new(repo.clone()).arc(7),
        repo.of_type(7_u64),
        repo.any("abc", 7),
        repo.default(7),
        counter.count(7),
    );
    assert_eq!(repo.text("a", &[1], Some("b"), "c".to_owned()).await, "a[1]Some(\"b\")c!");
    assert_eq!(repo.pattern(Path(1), page(), 0).await, 14);
    let free = cache_core::with_cache(cache.clone(), async { (Repo::free(7).await, observe(Repo::free(7)).await) }).await;
    assert_eq!((free.0, free.1.0, free.1.1[0].outcome.is_hit()), (7, 7, true));

    assert_eq!(repo.save(Path(7), 70).await, Ok(Some(70)));
    assert_eq!(repo.find(7).await, Ok(Some(70)), "what was put");
    repo.forget(Path(7)).await;
    assert_eq!(repo.find(7).await, Ok(Some(10)));
    repo.tenant = 0;
    assert_eq!(observe(repo.find(7)).await.1[0].outcome.to_string(), "bypass; reason=when");

    // Asked when it is polled, not when it is made.
    repo.tenant = 3;
    let made_before = repo.find(7);
    repo.save(Path(7), 71).await.unwrap();
    assert_eq!(made_before.await, Ok(Some(71)));

    // A caller that goes away: the load ends without it.
    let store: Box<dyn Store> = Box::new(repo.clone());
    let mut load: Pin<Box<dyn Future<Output = _> + Send>> = store.find(8);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        assert!(load.as_mut().poll(&mut context).is_pending());
    }
    drop(load);
    tokio::task::yield_now().await;
    let (found, seen) = observe(repo.find(8)).await;
    assert!(found == Ok(Some(11)) && seen[0].outcome.to_string() != "miss; load=own", "{seen:?}");
}
