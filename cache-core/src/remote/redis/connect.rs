//! Connections to one Redis server, and what its errors mean.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline, ProtocolVersion,
    PushInfo, RedisError, Value,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use tokio::time::timeout;

use crate::error::{Error, ErrorKind};

/// A connection on which nothing is said for so long is asked by the system whether it is there: that for confirmed appends has
/// no beat.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Where the server is and how long to wait for it.
#[derive(Clone)]
pub(crate) struct Target {
    info: ConnectionInfo,
    /// Has to show a certificate.
    is_tls: bool,
    #[cfg(feature = "tls")]
    tls: Option<tokio_rustls::TlsConnector>,
    patience: Duration,
    #[cfg(feature = "test-util")]
    dial: Option<super::dial::Dial>,
}

impl Target {
    /// Reads a URL; `patience` is the time that each step of connecting may take.
    pub(crate) fn parse(url: &str, patience: Duration) -> Result<Self, Error> {
        let is_tls = wants_tls(url);
        if is_tls && cfg!(not(feature = "tls")) {
            return Err(Error::config("redis url", "`rediss` needs the feature `tls` of cache-core"));
        }
        // TLS is ours: to the client the scheme says only where the server is.
        let plain = if is_tls { url.replacen("s://", "://", 1) } else { url.to_owned() };
        let info = plain.into_connection_info().map_err(|error| {
            let detail = "the URL cannot be read; it has the form redis://[user:password@]host[:port][/database], or \
                          rediss://.. for TLS, or unix:///path";
            Error::caused(ErrorKind::Config, "redis url", detail, error)
        })?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE));
        let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
        Ok(Self {
            info,
            is_tls,
            #[cfg(feature = "tls")]
            tls: None,
            patience,
            #[cfg(feature = "test-util")]
            dial: None,
        })
    }

    /// Opens TLS by `tls`, where the URL asks for it.
    #[cfg(feature = "tls")]
    pub(crate) fn secured_by(self, tls: Option<tokio_rustls::TlsConnector>) -> Self {
        Self { tls, ..self }
    }

    /// Opens streams by `dial` instead of sockets.
    #[cfg(feature = "test-util")]
    pub(crate) fn by(self, dial: Option<super::dial::Dial>) -> Self {
        Self { dial, ..self }
    }

    /// The number of the database that the URL chose.
    pub(crate) fn database(&self) -> i64 {
        self.info.redis_settings().db()
    }

    /// Another server, which is reached in the same way but for its address.
    pub(crate) fn at(&self, host: &str, port: u16) -> Self {
        let addr = ConnectionAddr::Tcp(host.to_owned(), port);
        Self { info: self.info.clone().set_addr(addr), ..self.clone() }
    }

    /// Whether the server has to show a certificate.
    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Host and port; of a Unix socket its path, and no port.
    pub(crate) fn host_and_port(&self) -> (String, u16) {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) => (host.clone(), *port),
            ConnectionAddr::Unix(path) => (path.display().to_string(), 0),
            _ => (self.address(), 0),
        }
    }

    /// Host and port, without user and password.
    pub(crate) fn address(&self) -> String {
        self.info.addr().to_string()
    }

    /// A connection; pushed messages are handed to `push` by the connection's own task, in the order of the stream.
    pub(crate) async fn open(
        &self,
        push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, Error> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(move |info| {
                push(info);
                Ok::<(), ()>(())
            });
        match timeout(self.patience, self.connect(config)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.explain("connect", &error)),
            Err(_) => {
                let hint = if self.is_tls { "; a port that does not speak TLS says nothing to it" } else { "" };
                let detail = format!("{} did not answer within {:?}{hint}", self.address(), self.patience);
                Err(Error::new(ErrorKind::Timeout, "connect", detail))
            }
        }
    }

    async fn connect(&self, config: AsyncConnectionConfig) -> Result<MultiplexedConnection, RedisError> {
        #[cfg(feature = "test-util")]
        if let Some(dial) = &self.dial {
            return self.over(dial(&self.address()).await?, config).await;
        }
        #[cfg(feature = "tls")]
        if let (true, Some(tls)) = (self.is_tls, &self.tls) {
            let (host, port) = self.host_and_port();
            let stream = super::tls::open(tls, &host, port).await?;
            return self.over(stream, config).await.map_err(super::tls::or_refused);
        }
        Client::open(self.info.clone())?.get_multiplexed_async_connection_with_config(&config).await
    }

    #[cfg(any(feature = "tls", feature = "test-util"))]
    async fn over(
        &self,
        stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        config: AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        let settings = self.info.redis_settings();
        let (connection, driver) = MultiplexedConnection::new_with_config(settings, stream, config).await?;
        #[allow(clippy::disallowed_methods, reason = "as the client does with its own streams")]
        tokio::spawn(driver);
        Ok(connection)
    }

    /// A step of setting a connection up, under the same patience.
    pub(crate) async fn step<T>(
        &self,
        op: &'static str,
        work: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Error> {
        match timeout(self.patience, work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.explain(op, &error)),
            Err(_) => Err(Error::new(
                ErrorKind::Timeout,
                op,
                format!("{} did not answer within {:?}", self.address(), self.patience),
            )),
        }
    }

    /// A batch as one step: the first refusal in it is the error, with what the server said.
    pub(crate) async fn batch(
        &self,
        op: &'static str,
        connection: &mut MultiplexedConnection,
        batch: &Pipeline,
    ) -> Result<Vec<Value>, Error> {
        let work = async {
            let values = connection.send_packed_commands(batch, 0, batch.len()).await?;
            values.into_iter().map(Value::extract_error).collect()
        };
        self.step(op, work).await
    }

    /// A batch of which a server that is full may leave out what it has no room for.
    pub(crate) async fn rehearse(&self, connection: &mut MultiplexedConnection, batch: &Pipeline) -> Result<(), Error> {
        let work = async {
            let values = connection.send_packed_commands(batch, 0, batch.len()).await?;
            let refused = values.into_iter().filter(|value| !is_full(value));
            refused.map(Value::extract_error).collect::<Result<Vec<_>, _>>().map(|_| ())
        };
        self.step("rehearsal", work).await
    }

    fn explain(&self, op: &'static str, error: &RedisError) -> Error {
        let address = self.address();
        let kind = kind_of(error);
        let detail = match kind {
            ErrorKind::Denied => {
                format!("{address} refused the user, the password or a right ({error}); look at the URL and at the ACL")
            }
            ErrorKind::Unreachable => format!("{address} cannot be reached: {error}"),
            _ => format!("{address}: {error}"),
        };
        Error::caused(kind, op, detail, error.clone())
    }
}

/// Whether the scheme asks for TLS.
pub(crate) fn wants_tls(url: impl AsRef<str>) -> bool {
    ["rediss://", "valkeys://"].iter().any(|scheme| url.as_ref().starts_with(scheme))
}

/// Whether the server has no room for what it was told to store.
fn is_full(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.code() == "OOM")
}

/// What a redis error is to us.
pub(crate) fn kind_of(error: &RedisError) -> ErrorKind {
    // Of a command inside a script, Redis 7.0 says so in words alone.
    let in_a_script = error.detail().is_some_and(|detail| detail.contains("can't run this command"));
    let denied = in_a_script || matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM"));
    // It passes by itself, as an unreachable server does.
    let busy = matches!(
        error.code(),
        Some("LOADING" | "BUSY" | "MASTERDOWN" | "TRYAGAIN" | "CLUSTERDOWN" | "MOVED" | "ASK" | "READONLY")
    );
    if denied || error.kind() == redis::ErrorKind::AuthenticationFailed {
        ErrorKind::Denied
    } else if error.is_timeout() {
        ErrorKind::Timeout
    } else if busy || error.is_io_error() || error.is_connection_dropped() || error.is_connection_refusal() {
        ErrorKind::Unreachable
    } else if error.kind() == redis::ErrorKind::InvalidClientConfig {
        ErrorKind::Config
    } else {
        ErrorKind::Remote
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_url_is_a_clear_error_without_the_password() {
        for url in ["", "nonsense", "http://127.0.0.1/", "redis://user:secret@127.0.0.1:notaport/"] {
            let error = Target::parse(url, Duration::from_secs(1)).err().expect(url);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("redis://[user:password@]host"), "{error}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn the_address_leaves_the_password_out() {
        let target = Target::parse("redis://user:secret@10.0.0.1:6380/3", Duration::from_secs(1)).unwrap();
        assert_eq!((target.address().as_str(), target.database()), ("10.0.0.1:6380", 3));
    }
}
