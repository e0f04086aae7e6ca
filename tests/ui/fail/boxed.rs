//! Mistakes in methods under `#[async_trait]`, and in functions by hand that return boxed futures.

use std::{borrow::Cow, future::Future, pin::Pin, rc::Rc};

use async_trait::async_trait;
use cache_core::{Cache, cacheable};

struct Path<T>(T);

#[async_trait]
trait Store {
    #[cacheable(key = "a:{id}")]
    async fn declared(&self, id: u64) -> u64;

    async fn forgotten(&self, id: u64, lang: &str) -> u64;
    async fn pattern(&self, Path(id): Path<u64>) -> u64;
    async fn misspelt(&self, id: u64) -> u64;
    async fn reference(&self) -> &str;
    async fn borrowed(&self, page: Cow<'_, str>) -> usize;
    async fn exclusive(&mut self, id: u64) -> u64;
    async fn not_clone(&self, id: u64) -> u64;
    async fn wrong_end(&self, id: u64) -> Result<u64, ()>;
    async fn nothing(&self, id: u64);
}

struct Repo {
    cache: Cache,
}

#[async_trait]
impl Store for Repo {
    async fn declared(&self, id: u64) -> u64 {
        id
    }

    #[cacheable(key = "a:{id}")]
    async fn forgotten(&self, id: u64, lang: &str) -> u64 {
        id + lang.len() as u64
    }

    #[cacheable(key = "a")]
    async fn pattern(&self, Path(id): Path<u64>) -> u64 {
        id
    }

    #[cacheable(key = "a:{idd}", skip(id))]
    async fn misspelt(&self, id: u64) -> u64 {
        id
    }

    #[cacheable(key = "a")]
    async fn reference(&self) -> &str {
        "text"
    }

    #[cacheable(key = "a:{page}", stale = "1h")]
    async fn borrowed(&self, page: Cow<'_, str>) -> usize {
        page.len()
    }

    #[cacheable(key = "a:{id}", soft = "1s")]
    async fn exclusive(&mut self, id: u64) -> u64 {
        id
    }

    #[cacheable(key = "a:{id}", stale = "1h")]
    async fn not_clone(&self, id: u64) -> u64 {
        id
    }

    #[cacheable(key = "a:{id}")]
    async fn wrong_end(&self, id: u64) -> Result<u64, ()> {
        id
    }

    #[cacheable(key = "a:{id}")]
    async fn nothing(&self, id: u64) {
        let _ = id;
    }
}

#[async_trait(?Send)]
trait Local {
    async fn count(&self, id: u64) -> u64;
}

#[async_trait]
trait Sent {
    async fn not_send(&self, id: u64) -> u64;
}

#[async_trait]
impl Sent for Repo {
    #[cacheable(key = "b:{id}")]
    async fn not_send(&self, id: u64) -> u64 {
        let id = Rc::new(id);
        std::future::ready(()).await;
        *id
    }
}

#[async_trait(?Send)]
impl Local for Repo {
    #[cacheable(key = "b:{id}", stale = "1h")]
    async fn count(&self, id: u64) -> u64 {
        *Rc::new(id)
    }
}

impl Repo {
    #[cacheable(key = "c:{id}")]
    fn borrows_nothing(&self, id: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
        Box::pin(async move { id })
    }

    #[cacheable(key = "c:{name}")]
    fn borrows_self_alone(&self, name: &str) -> Pin<Box<dyn Future<Output = usize> + Send + '_>> {
        let length = name.len();
        Box::pin(async move { length })
    }
}

fn main() {}
