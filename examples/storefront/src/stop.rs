//! When to stop: Ctrl-C, a polite kill, or the end of the parent's pipe.

use std::{future::Future, io};

use tokio::sync::oneshot;

/// Returns on Ctrl-C (SIGINT) or SIGTERM, heard from this call on, whenever it is awaited: until then either would end the process in
/// the middle of its answers.
#[cfg(unix)]
pub(crate) fn asked() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Returns on Ctrl-C.
#[cfg(not(unix))]
pub(crate) fn asked() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler the signal's own effect, the end of the process, is what is wanted.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
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
