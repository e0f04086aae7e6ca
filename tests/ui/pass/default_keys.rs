//! Without `key`: functions of one name never meet, whatever they belong to.

#![deny(warnings)]

use cache_core::{Cache, cacheable, with_cache};

mod users {
    #[cache_core::cacheable]
    pub async fn get(id: u64) -> String {
        format!("user {id}")
    }
}

mod quotas {
    #[cache_core::cacheable]
    pub async fn get(id: u64) -> String {
        format!("quota {id}")
    }
}

struct Users;
struct Quotas;
struct Generic<T>(T);

impl Users {
    #[cacheable]
    async fn get(id: u64) -> String {
        format!("Users {id}")
    }
}

impl Quotas {
    #[cacheable]
    async fn get(id: u64) -> String {
        format!("Quotas {id}")
    }
}

impl<T: 'static> Generic<T> {
    #[cacheable]
    async fn get(id: u64) -> String {
        format!("{} {id}", std::any::type_name::<T>())
    }
}

trait Get {
    async fn get(&self, id: u64) -> String;

    #[cacheable(cache = cache_core::installed())]
    async fn named(&self, id: u64) -> String {
        format!("{} {id}", std::any::type_name::<Self>())
    }
}

impl Get for Users {
    #[cacheable(cache = cache_core::installed())]
    async fn get(&self, id: u64) -> String {
        format!("Get for Users {id}")
    }
}

impl Get for Quotas {
    #[cacheable(cache = cache_core::installed())]
    async fn get(&self, id: u64) -> String {
        format!("Get for Quotas {id}")
    }
}

impl Get for Generic<u8> {
    #[cacheable(cache = cache_core::installed())]
    async fn get(&self, id: u64) -> String {
        format!("Get for Generic<u8> {id} {}", self.0)
    }
}

#[cacheable]
async fn typed<T: 'static>(id: u64) -> String {
    format!("{} {id}", std::any::type_name::<T>())
}

async fn first() -> String {
    #[cacheable]
    async fn get(id: u64) -> String {
        format!("first {id}")
    }
    get(7).await
}

async fn second() -> String {
    let one = {
        #[cacheable]
        async fn get(id: u64) -> String {
            format!("second {id}")
        }
        get(7).await
    };
    #[cacheable]
    async fn get(id: u64) -> String {
        format!("third {id}")
    }
    one + &get(7).await
}

async fn all() -> Vec<String> {
    vec![
        users::get(7).await,
        quotas::get(7).await,
        Users::get(7).await,
        Quotas::get(7).await,
        Generic::<u8>::get(7).await,
        Generic::<u16>::get(7).await,
        Get::get(&Users, 7).await,
        Get::get(&Quotas, 7).await,
        Get::get(&Generic(1_u8), 7).await,
        Users.named(7).await,
        Quotas.named(7).await,
        Generic(1_u8).named(7).await,
        typed::<u8>(7).await,
        typed::<Users>(7).await,
        first().await,
        second().await,
    ]
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let uncached = all().await;
    let cache = Cache::in_memory();
    let loaded = with_cache(cache.clone(), all()).await;
    let cached = with_cache(cache.clone(), all()).await;
    assert_eq!(uncached, loaded);
    assert_eq!(uncached, cached);
    assert_eq!(cache.stats().loads, 17);
}
