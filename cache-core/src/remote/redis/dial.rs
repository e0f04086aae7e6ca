//! Streams of one's own instead of sockets, for simulations.

use std::{io, pin::Pin, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};

/// What a server is talked to over.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Wire for T {}

/// A stream to a server.
pub type BoxWire = Box<dyn Wire>;

/// What dialling an address will have come to.
pub type Dialled = Pin<Box<dyn Future<Output = io::Result<BoxWire>> + Send>>;

/// Opens a stream to the server at an address, `host:port`.
pub type Dial = Arc<dyn Fn(&str) -> Dialled + Send + Sync>;
