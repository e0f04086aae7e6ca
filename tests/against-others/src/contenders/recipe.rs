//! The recipe of the tutorials, on `moka` 0.12.16 and `redis` 1.8.1: cache-aside. A read looks into moka, then `GET`s, then
//! loads and `SET`s with `EX`; a write `DEL`s, drops the entry in moka and `PUBLISH`es the key, and every node listens. Of
//! moka's documentation it follows the section "Example: Asynchronous Cache" and `try_get_with` (`moka::future::Cache`), of
//! redis' its `aio::ConnectionManager` and `aio::PubSub`. It does two things better than most tutorials: concurrent loads
//! are coalesced by moka, and a listener that had to connect again empties moka, since it cannot know what it has missed.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use moka::future::Cache;
use redis::{
    AsyncCommands, Client,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::task::JoinHandle;

use super::{Account, Accounts, IMPATIENT, NO_FUNCTIONS, TTL, connected, is_outage};
use crate::{
    case::{Case, Contender, Node, Release, Setup, Step},
    source::{Row, Source},
};

const CHANNEL: &str = "evicted";

/// The contender.
pub(crate) struct Recipe;

struct Aside<T> {
    local: Cache<String, T>,
    redis: ConnectionManager,
    listener: JoinHandle<()>,
}

// === impl Aside ===

impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Aside<T> {
    async fn connect(url: &str, impatient: bool) -> Self {
        let client = Client::open(url).expect("a URL");
        let mut config = ConnectionManagerConfig::new();
        if impatient {
            let timeout = Some(IMPATIENT);
            config = config.set_response_timeout(timeout).set_connection_timeout(timeout).set_number_of_retries(1);
        }
        let redis = connected(|| client.get_connection_manager_with_config(config.clone())).await;
        let local = Cache::builder().max_capacity(10_000).time_to_live(TTL).build();
        let (subscribed, ready) = tokio::sync::oneshot::channel();
        let listener = tokio::spawn(listen(client, local.clone(), subscribed));
        ready.await.expect("it subscribes");
        Self { local, redis, listener }
    }

    async fn get(&self, key: &str, load: impl Future<Output = T>) -> T {
        let mut redis = self.redis.clone();
        let aside = async {
            // A Redis that fails is a miss.
            let stored: Option<String> = redis.get(key).await.unwrap_or(None);
            if let Some(found) = stored.and_then(|json| serde_json::from_str(&json).ok()) {
                return found;
            }
            let loaded = load.await;
            let json = serde_json::to_string(&loaded).expect("it is plain data");
            let _: Result<(), _> = redis.set_ex(key, json, TTL.as_secs()).await;
            loaded
        };
        self.local.get_with(key.to_owned(), aside).await
    }
}

impl<T> Drop for Aside<T> {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Drops what others say they have evicted. Says once that it listens.
async fn listen<T: Clone + Send + Sync + 'static>(
    client: Client,
    local: Cache<String, T>,
    subscribed: tokio::sync::oneshot::Sender<()>,
) {
    let mut subscribed = Some(subscribed);
    loop {
        if let Ok(mut connection) = client.get_async_pubsub().await
            && connection.subscribe(CHANNEL).await.is_ok()
        {
            local.invalidate_all();
            if let Some(subscribed) = subscribed.take() {
                let _ = subscribed.send(());
            }
            let mut messages = connection.on_message();
            while let Some(message) = messages.next().await {
                if let Ok(key) = message.get_payload::<String>() {
                    local.invalidate(&key).await;
                }
            }
        }
        // Time itself: the pause before the next try.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

// === impl Contender ===

impl Contender for Recipe {
    fn name(&self) -> &'static str {
        "moka + redis by hand"
    }

    fn crates(&self) -> &'static [&'static str] {
        &["moka", "redis"]
    }

    fn option(&self, case: Case) -> Option<&'static str> {
        is_outage(case).then_some("timeouts of 0.1 s and one retry in its `ConnectionManagerConfig`")
    }

    fn lacks(&self, case: Case) -> Option<&'static str> {
        match case {
            Case::Group => Some("it evicts key by key"),
            Case::TwoPuts => Some("its writes evict, and put nothing"),
            Case::Flushed => Some("it listens to its own messages only"),
            Case::OneName => Some(NO_FUNCTIONS),
            _ => None,
        }
    }

    fn node<'a>(&'a self, setup: Setup, url: &'a str) -> Step<'a, Arc<dyn Node>> {
        Box::pin(async move { Arc::new(Aside::<Row>::connect(url, setup.with_option).await) as Arc<dyn Node> })
    }

    fn account<'a>(
        &'a self,
        url: &'a str,
        release: Release,
        loads: (u64, u64),
    ) -> Step<'a, Result<(u64, u64), String>> {
        self.by_release(url, release, loads)
    }
}

impl Node for Aside<Row> {
    fn find<'a>(&'a self, id: u64, source: &'a Source) -> Step<'a, Result<u64, String>> {
        Box::pin(async move { Ok(self.get(&format!("product:{id}"), source.read(id)).await.revision) })
    }

    fn evict(&self, id: u64) -> Step<'_, Result<(), String>> {
        Box::pin(async move {
            let (mut redis, key) = (self.redis.clone(), format!("product:{id}"));
            let _: () = redis.del(&key).await.map_err(|error| error.to_string())?;
            self.local.invalidate(&key).await;
            let _: () = redis.publish(CHANNEL, &key).await.map_err(|error| error.to_string())?;
            Ok(())
        })
    }
}

impl Accounts for Recipe {
    fn through<'a, A: Account>(&'a self, url: &'a str, loads: A) -> Step<'a, Result<A, String>> {
        Box::pin(async move { Ok(Aside::connect(url, false).await.get("account:7", async { loads }).await) })
    }
}
