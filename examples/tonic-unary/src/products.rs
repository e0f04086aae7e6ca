//! The service: an ordinary one, which knows nothing of a cache.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt, stream};
use tokio::{sync::Notify, time::sleep};
use tonic::{Request, Response, Status};

use crate::{
    messages::{GetRequest, Product, WatchRequest},
    shop::products_server::Products,
};

/// There are no others.
pub(crate) const LAST: u64 = 1_000;

/// How long it takes to find one.
pub(crate) const FINDING: Duration = Duration::from_millis(50);

/// A shop, which counts how often it is asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shop {
    gets: Arc<AtomicU64>,
    watches: Arc<AtomicU64>,
    /// A watch goes on behind its first product when it is told so.
    pub(crate) go_on: Arc<Notify>,
}

// === impl Shop ===

impl Shop {
    pub(crate) fn gets(&self) -> u64 {
        self.gets.load(Ordering::SeqCst)
    }

    pub(crate) fn watches(&self) -> u64 {
        self.watches.load(Ordering::SeqCst)
    }
}

fn product(id: u64) -> Product {
    Product { id, name: format!("product {id}"), cents: id * 99 }
}

#[tonic::async_trait]
impl Products for Shop {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<Product>, Status> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        sleep(FINDING).await;
        let id = request.into_inner().id;
        if id > LAST {
            return Err(Status::not_found(format!("there is no product {id}")));
        }
        let mut response = Response::new(product(id));
        response.metadata_mut().insert("x-shelf", (id % 7).into());
        Ok(response)
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<Product, Status>> + Send>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.watches.fetch_add(1, Ordering::SeqCst);
        let WatchRequest { from, count } = request.into_inner();
        let go_on = Arc::clone(&self.go_on);
        let products = stream::iter(from..from + u64::from(count)).then(move |id| {
            let go_on = Arc::clone(&go_on);
            async move {
                if id > from {
                    go_on.notified().await;
                }
                Ok(product(id))
            }
        });
        Ok(Response::new(products.boxed()))
    }
}
