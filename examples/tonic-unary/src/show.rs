//! The client: what it calls, and what it makes of the answers.

use std::time::Duration;

use cache_core::Cache;
use futures_util::future::try_join_all;
use http::HeaderMap;
use tokio::time::timeout;
use tonic::{
    Code, Request, Status,
    metadata::{MetadataMap, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::{
    Problem,
    messages::{GetRequest, Product, WatchRequest},
    products::{LAST, Shop},
    server,
    shop::products_client::ProductsClient,
    table::{Same, Table},
    tap::{Received, Tap},
};

/// Nothing here takes that long, whatever the machine does.
const DEADLINE: Duration = Duration::from_secs(20);

/// What there is: a server with the layer, and one without.
struct Stage {
    cache: Cache,
    shop: Shop,
    cached: Channel,
    plain_shop: Shop,
    plain: Channel,
}

/// Plays everything, and says what came of it.
pub(crate) async fn run() -> Result<Table, Problem> {
    let stage = Stage::set().await?;
    let mut table = Table::default();
    stage.again(&mut table).await?;
    stage.at_once(&mut table).await?;
    stage.evicted(&mut table).await?;
    stage.failed(&mut table).await?;
    stage.authorized(&mut table).await?;
    stage.streamed(&mut table).await?;
    Ok(table)
}

// === impl Stage ===

impl Stage {
    async fn set() -> Result<Self, Problem> {
        let (cache, shop, plain_shop) = (Cache::in_memory(), Shop::default(), Shop::default());
        let cached = server::start(shop.clone(), Some(server::layer(&cache))).await?;
        let plain = server::start(plain_shop.clone(), None).await?;
        let (cached, plain) = (connect(cached).await?, connect(plain).await?);
        Ok(Self { cache, shop, cached, plain_shop, plain })
    }

    /// The answers with the layer against those without, for these ids in turn.
    async fn compared(&self, ids: impl Iterator<Item = u64>, authorized: bool) -> Result<Same, Problem> {
        let mut same = Same::ALL;
        for id in ids {
            let (answer, received) = get(&self.cached, id, authorized).await?;
            let (plain_answer, plain) = get(&self.plain, id, authorized).await?;
            same = same.and(Same {
                headers: received.headers == plain.headers,
                bytes: received.bytes == plain.bytes,
                trailers: received.trailers == plain.trailers,
                other: is_same(&answer, &plain_answer),
            });
        }
        Ok(same)
    }

    async fn again(&self, table: &mut Table) -> Result<(), Problem> {
        let before = self.shop.gets();
        let same = self.compared((0..10).cycle().take(50), false).await?;
        let (_, last) = get(&self.cached, 0, false).await?;
        let is_hit = last.cache.is_some_and(|word| word.starts_with("cache;hit"));
        table.row(
            "10 products, 5 times each",
            51,
            self.shop.gets() - before,
            10,
            same.and(Same { other: is_hit, ..Same::ALL }),
        );
        Ok(())
    }

    async fn at_once(&self, table: &mut Table) -> Result<(), Problem> {
        let before = self.shop.gets();
        let all = try_join_all((0..200).map(|_| get(&self.cached, 100, false))).await?;
        let handled = self.shop.gets() - before;
        let (plain_answer, plain) = get(&self.plain, 100, false).await?;
        let same = Same {
            headers: all.iter().all(|(_, received)| received.headers == plain.headers),
            bytes: all.iter().all(|(_, received)| received.bytes == plain.bytes),
            trailers: all.iter().all(|(_, received)| received.trailers == plain.trailers),
            other: all.iter().all(|(answer, _)| is_same(answer, &plain_answer)),
        };
        table.row("a cold product, 200 at once", 200, handled, 1, same);
        Ok(())
    }

    async fn evicted(&self, table: &mut Table) -> Result<(), Problem> {
        let before = self.shop.gets();
        let mut same = self.compared([1, 2].into_iter(), false).await?;
        let _in_this_process = self.cache.evict_tag(server::tag(1)).await;
        same = same.and(self.compared([1, 2].into_iter(), false).await?);
        table.row("one of two evicted by its tag", 4, self.shop.gets() - before, 1, same);
        Ok(())
    }

    async fn failed(&self, table: &mut Table) -> Result<(), Problem> {
        let before = self.shop.gets();
        let same = self.compared([LAST + 1; 5].into_iter(), false).await?;
        let (answer, _) = get(&self.cached, LAST + 1, false).await?;
        let is_missing = answer.is_err_and(|status| status.code() == Code::NotFound);
        table.row(
            "a call that fails",
            6,
            self.shop.gets() - before,
            6,
            same.and(Same { other: is_missing, ..Same::ALL }),
        );
        Ok(())
    }

    async fn authorized(&self, table: &mut Table) -> Result<(), Problem> {
        let before = self.shop.gets();
        let same = self.compared([1; 5].into_iter(), true).await?;
        table.row("calls with `authorization`", 5, self.shop.gets() - before, 5, same);
        Ok(())
    }

    /// The second product is sent only after the first has arrived: a layer that held the stream would never end.
    async fn streamed(&self, table: &mut Table) -> Result<(), Problem> {
        let before = self.shop.watches();
        let mut same = Same::ALL;
        for _ in 0..3 {
            let cached = watch(&self.cached, &self.shop).await?;
            let plain = watch(&self.plain, &self.plain_shop).await?;
            same = same.and(Same {
                headers: cached.metadata == plain.metadata,
                bytes: cached.products == plain.products,
                trailers: cached.trailers == plain.trailers,
                other: cached.products.len() == 4,
            });
        }
        table.row("a stream of 4, each waiting for the last", 3, self.shop.watches() - before, 3, same);
        Ok(())
    }
}

async fn connect(address: std::net::SocketAddr) -> Result<Channel, Problem> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.connect().await?)
}

/// A call by tonic's client, and what it got over the wire.
async fn get(channel: &Channel, id: u64, authorized: bool) -> Result<(Result<Product, Status>, Received), Problem> {
    let tap = Tap::new(channel.clone());
    let mut request = Request::new(GetRequest { id });
    if authorized {
        request.metadata_mut().insert("authorization", MetadataValue::from_static("Bearer alice"));
    }
    let answer = timeout(DEADLINE, ProductsClient::new(tap.clone()).get(request)).await?;
    Ok((answer.map(tonic::Response::into_inner), tap.take()?))
}

/// All that came of a stream.
#[derive(PartialEq)]
struct Watched {
    /// All but `date`.
    metadata: HeaderMap,
    products: Vec<Product>,
    trailers: HeaderMap,
}

async fn watch(channel: &Channel, shop: &Shop) -> Result<Watched, Problem> {
    let mut client = ProductsClient::new(channel.clone());
    let response = timeout(DEADLINE, client.watch(WatchRequest { from: 1, count: 4 })).await??;
    let mut metadata = response.metadata().clone().into_headers();
    metadata.remove("date");
    let mut stream = response.into_inner();
    let mut products = Vec::new();
    while let Some(product) = timeout(DEADLINE, stream.message()).await?? {
        products.push(product);
        shop.go_on.notify_one();
    }
    let trailers = stream.trailers().await?.map(MetadataMap::into_headers).unwrap_or_default();
    Ok(Watched { metadata, products, trailers })
}

fn is_same(one: &Result<Product, Status>, other: &Result<Product, Status>) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one == other,
        (Err(one), Err(other)) => one.code() == other.code() && one.message() == other.message(),
        _ => false,
    }
}
