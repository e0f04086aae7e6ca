//! Serves the catalogue: opens the database, builds the cache, listens, and leaves in order.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::catalogue::{Repository, database};
use crate::cli::ServeOptions;
use crate::{Problem, caching, routes, stop};

/// How long requests under way, the cache's last words and the database get at the end.
const LEAVE_MAX: Duration = Duration::from_secs(3);

/// Serves until it is asked to stop.
pub(crate) async fn run(options: ServeOptions) -> Result<(), Problem> {
    let folder = options.data.clone().unwrap_or_else(default_folder);
    let budget = options.budget_ms.map_or(caching::BUDGET, Duration::from_millis);
    let pool = database::open(&folder).await?;
    let cache = caching::build(&options.namespace, options.redis.as_deref(), budget).await?;
    // Before anybody can be answered.
    let stop = stop::asked().map_err(|error| format!("cannot listen to signals: {error}"))?;
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}; name another address with --listen", options.listen))?;
    let address = listener.local_addr()?;
    let repository = Repository::new(pool, cache);
    if options.child {
        println!("{LISTENING}{address}");
    } else {
        print!("{}", welcome(&address.to_string(), &folder.display().to_string(), options.redis.is_some()));
    }
    std::io::stdout().flush()?;

    let (leave, mut left) = tokio::sync::watch::channel(());
    let server = axum::serve(listener, routes::router(repository.clone())).with_graceful_shutdown(async move {
        // The sender is dropped at the latest when `run` ends.
        let _ = left.changed().await;
    });
    let mut server = std::pin::pin!(server.into_future());
    tokio::select! {
        ended = &mut server => ended?,
        () = stop => {}
        () = stop::orphaned(), if options.child => {}
    }
    leave.send_replace(());
    // A client that keeps its connection open must not keep the process alive.
    let _ = tokio::time::timeout(LEAVE_MAX, server).await;
    let _ = tokio::time::timeout(LEAVE_MAX, repository.cache().close()).await;
    let _ = tokio::time::timeout(LEAVE_MAX, repository.close()).await;
    Ok(())
}

/// What a child says before its address.
pub(crate) const LISTENING: &str = "listening on ";

fn default_folder() -> PathBuf {
    std::env::temp_dir().join("storefront")
}

fn welcome(address: &str, folder: &str, shared: bool) -> String {
    let cache = if shared {
        "a local tier and the Redis that was named"
    } else {
        "a local tier; --redis URL adds one that processes share"
    };
    let at = format!("http://{address}");
    format!(
        "storefront on {at}
  data   {folder}
  cache  {cache}

Try these twice each, and read the x-cache header:
  curl -i '{at}/products/7'
  curl -i '{at}/products/7/stock'
  curl -i '{at}/categories/lamps/products?page=1'
  curl -i '{at}/search?q=walnut+desk&max_cents=20000'
  curl -i '{at}/top?limit=5'

Change something, and read again:
  curl -i -X PUT '{at}/products/7' -H 'content-type: application/json' -d '{{\"category\":\"carpets\",\"name\":\"Red carpet\",\"price_cents\":9900}}'
  curl -i -X POST '{at}/products/7/reviews' -H 'content-type: application/json' -d '{{\"rating\":5,\"text\":\"Soft.\"}}'
  curl -i -X POST '{at}/categories/lamps/discount' -H 'content-type: application/json' -d '{{\"percent\":10}}'
  curl -i -X DELETE '{at}/products/8'

What the cache did so far, and how long things live:
  curl '{at}/stats'
  curl '{at}/explain/product:stock'
"
    )
}
