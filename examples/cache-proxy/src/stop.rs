//! When to stop: Ctrl-C, or a polite kill.

use std::{future::Future, io};

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
