//! When to stop: Ctrl-C, a polite kill, or the end of the parent's pipe.

use tokio::sync::oneshot;

/// Returns on Ctrl-C (SIGINT) or SIGTERM.
pub(crate) async fn asked() {
    tokio::select! {
        () = interrupted() => {}
        () = terminated() => {}
    }
}

/// Returns when stdin ends: whoever started this process has gone.
pub(crate) async fn orphaned() {
    let (ended, end) = oneshot::channel();
    // A thread of its own: tokio would wait for a read that never returns before it lets the process end.
    std::thread::spawn(move || {
        // Whatever comes is of no interest, and neither is how it ends.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = ended.send(());
    });
    let _ = end.await;
}

async fn interrupted() {
    // Without a handler the signal's own effect, the end of the process, is what is wanted.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut stream) => drop(stream.recv().await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}
