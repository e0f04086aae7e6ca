//! Serves: builds the cache, listens, and leaves in order.

use std::{fs, future::IntoFuture, io::Write, path::Path, time::Duration};

use axum::serve::ListenerExt;
use cache_core::{Cache, Policy};
use cache_tower::{CacheLayer, bearer};
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
    let mut layer = CacheLayer::proxy(cache.clone()).max_body(options.max_body).cache_status(Some(&options.name));
    if let Some(file) = &options.purge_token {
        layer = layer.purge_prefixes(["/", "/{folder}"]).obey_purges(bearer(&token(file)?));
    }
    let upstream = Upstream::new(&options)?;
    // Before anybody can be answered.
    let stop = stop::asked().map_err(|error| format!("cannot listen to signals: {error}"))?;
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
        () = stop => {}
    }
    drop(leave);
    // A client that keeps its connection open must not keep the process alive.
    let _late = timeout(LEAVE_MAX, server).await;
    let _late = timeout(LEAVE_MAX, cache.close()).await;
    Ok(())
}

/// What is in the file, without the end of its line. A program that was given nothing is not to let in whoever says nothing.
fn token(file: &Path) -> Result<String, Problem> {
    let name = file.display();
    let text =
        fs::read_to_string(file).map_err(|error| format!("cannot read {name}: {error}; see to --purge-token"))?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{name} holds no token: one line of visible ASCII is one; see to --purge-token").into());
    }
    Ok(token.to_owned())
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
