//! Serves: builds the cache, listens, and leaves in order.

use std::{future::IntoFuture, io::Write, time::Duration};

use axum::serve::ListenerExt;
use cache_core::{Cache, Policy};
use cache_tower::CacheLayer;
use tokio::{net::TcpListener, sync::oneshot, time::timeout};

use crate::{Problem, cli::Cli, forward::Upstream, proxy::MakeProxy, stop};

/// How long requests under way, and the cache's last words, get at the end.
const LEAVE_MAX: Duration = Duration::from_secs(5);
/// The largest record that the cache takes, where bodies are not larger.
const RECORD_MAX_BYTES: usize = 8 << 20;
/// What a record takes beside its body.
const HEAD_MAX_BYTES: usize = 1 << 20;

/// Serves until it is asked to stop.
pub(crate) async fn run(options: Cli) -> Result<(), Problem> {
    let cache = cache(&options).await?;
    let layer = CacheLayer::proxy(cache.clone()).max_body(options.max_body).cache_status(Some(&options.name));
    let upstream = Upstream::new(&options)?;
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}; name another address with --listen", options.listen))?;
    println!("listening on {}, in front of http://{}", listener.local_addr()?, options.upstream);
    std::io::stdout().flush()?;

    let listener = listener.tap_io(|stream| {
        // Without it answers are late, not wrong.
        let _set = stream.set_nodelay(true);
    });
    let (leave, left) = oneshot::channel::<()>();
    let server = axum::serve(listener, MakeProxy::new(layer, upstream)).with_graceful_shutdown(async move {
        // The sender is dropped at the latest when `run` ends.
        let _left = left.await;
    });
    let mut server = std::pin::pin!(server.into_future());
    tokio::select! {
        ended = &mut server => ended?,
        () = stop::asked() => {}
    }
    drop(leave);
    // A client that keeps its connection open must not keep the process alive.
    let _late = timeout(LEAVE_MAX, server).await;
    let _late = timeout(LEAVE_MAX, cache.close()).await;
    Ok(())
}

/// The cache; without a Redis it is this process's own.
async fn cache(options: &Cli) -> Result<Cache, Problem> {
    let record = RECORD_MAX_BYTES.max(options.max_body.saturating_add(HEAD_MAX_BYTES));
    // Answers say themselves how long they are fresh.
    let policy = Policy::new().jitter(0.0).max_bytes(record);
    let mut builder = Cache::builder("cache-proxy").policy(policy).local_entries(options.entries);
    if let Some(url) = &options.redis {
        // The server must tell of changed keys. Where it does not yet, it is asked to; what is set already stays.
        builder = builder.redis(url.as_str()).ensure_notifications();
    }
    builder.build().await.map_err(|error| format!("{error}; see to --redis, or leave it out").into())
}
