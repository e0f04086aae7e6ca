//! Functions by hand that return boxed futures.

#![deny(warnings)]

use std::{future::Future, pin::Pin, rc::Rc, sync::Arc};

use cache_core::{Cache, cache_evict, cache_put, cacheable, observe};

type Boxed<R> = Pin<Box<dyn Future<Output = R> + Send>>;

/// As the crate `futures` has it.
type BoxFuture<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

#[derive(Clone)]
struct Repo {
    cache: Cache,
    name: String,
}

#[derive(Debug, PartialEq, Clone)]
struct Failed;

impl Repo {
    #[cacheable(key = "found:{id}", tags = ["found:{it}"], stale = "1h")]
    fn find(&self, id: u64) -> Pin<Box<dyn Future<Output = Result<Option<u64>, Failed>> + Send + '_>> {
        Box::pin(async move {
            if id == 0 {
                return Ok(None);
            }
            let length = self.later(id).await?;
            Ok(Some(length))
        })
    }

    #[cacheable(key = "named:{name}", stale = "1h")]
    fn named<'a>(&'a self, name: &'a str) -> BoxFuture<'a, String> {
        // Before the future there is a body, which is left early too.
        if name.is_empty() {
            return Box::pin(async { "nobody".to_owned() });
        }
        let hello = format!("hello {name}, from {}", self.name);
        Box::pin(async move { hello })
    }

    #[cacheable(key = "named-body:{name}")]
    fn named_in_the_body<'a>(&'a self, name: &'a str) -> BoxFuture<'a, usize> {
        Box::pin(async move {
            let name: &'a str = name;
            name.len()
        })
    }

    #[cacheable(key = "local:{id}")]
    fn local(&self, id: u64) -> Pin<Box<dyn Future<Output = u64> + '_>> {
        let id = Rc::new(id);
        Box::pin(async move {
            tokio::task::yield_now().await;
            *id
        })
    }

    #[cacheable(key = "owned:{id}", stale = "1h")]
    fn owned(self: Arc<Self>, id: u64) -> Pin<Box<dyn Future<Output = usize> + Send>> {
        Box::pin(async move { self.name.len() + id as usize })
    }

    #[cache_put(key = "found:{id}", tags = ["found:{it}"])]
    fn save<'a>(&'a self, id: u64, value: &'a u64) -> BoxFuture<'a, Result<Option<u64>, Failed>> {
        self.saved(id, *value)
    }

    #[cache_evict(key = "found:{id}")]
    fn forget(&self, id: u64) -> BoxFuture<'_, ()> {
        let _ = id;
        Box::pin(async {})
    }

    fn saved(&self, id: u64, value: u64) -> BoxFuture<'_, Result<Option<u64>, Failed>> {
        Box::pin(async move { if id == 0 { Err(Failed) } else { Ok(Some(value)) } })
    }

    async fn later(&self, id: u64) -> Result<u64, Failed> {
        tokio::task::yield_now().await;
        Ok(id + self.name.len() as u64)
    }
}

#[cacheable(key = "free:{id}", cache = cache, skip(cache))]
fn free(cache: Cache, id: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    loaded(id)
}

fn loaded(id: u64) -> Boxed<u64> {
    Box::pin(async move { id })
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
    let repo = Repo { cache: Cache::in_memory(), name: "n".to_owned() };
    hits!(
        repo.find(7),
        repo.find(0),
        repo.named("x"),
        repo.named(""),
        repo.named_in_the_body("abc"),
        repo.local(7),
        Arc::new(repo.clone()).owned(7),
        free(repo.cache.clone(), 7),
    );
    assert_eq!(repo.named("x").await, "hello x, from n");
    assert_eq!(repo.save(7, &70).await, Ok(Some(70)));
    assert_eq!(repo.find(7).await, Ok(Some(70)), "what was put");
    repo.forget(7).await;
    assert_eq!(repo.find(7).await, Ok(Some(8)));
}
