//! TLS by rustls, with its provider and its roots named here: nothing hangs on what else is in the process.

use std::{io, sync::Arc};

use futures_util::future::select_ok;
use redis::RedisError;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::error::{Error, ErrorKind};

/// Who is trusted, and who we are. PEM.
#[derive(Clone, Default)]
pub(crate) struct Trust {
    pub(crate) authority: Option<Vec<u8>>,
    /// The chain and the key.
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Trust {
    /// Reads the certificates, of this machine if none were given.
    pub(crate) fn connector(&self) -> Result<TlsConnector, Error> {
        let wrong = |what: &'static str| move |error| Error::caused(ErrorKind::Config, "tls", what, error);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(wrong("TLS cannot be set up"))?.with_root_certificates(self.roots()?);
        let config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = certificates(chain, "client_certificate")?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
                    Error::caused(ErrorKind::Config, "tls", "`client_certificate`: the key is no PEM of one", error)
                })?;
                let config = builder.with_client_auth_cert(chain, key);
                config.map_err(wrong("`client_certificate`: the key does not go with the certificate"))?
            }
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }

    fn roots(&self) -> Result<RootCertStore, Error> {
        let mut roots = RootCertStore::empty();
        let Some(pem) = &self.authority else {
            let found = rustls_native_certs::load_native_certs();
            let (trusted, _) = roots.add_parsable_certificates(found.certs);
            if trusted > 0 {
                return Ok(roots);
            }
            let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            let detail = format!(
                "this machine trusts nobody ({}); name who vouches for Redis by `certificate_authority`",
                why.join(", ")
            );
            return Err(Error::config("tls", detail));
        };
        for certificate in certificates(pem, "certificate_authority")? {
            let added = roots.add(certificate);
            added.map_err(|error| {
                Error::caused(ErrorKind::Config, "tls", "`certificate_authority`: not one that can vouch", error)
            })?;
        }
        Ok(roots)
    }
}

fn certificates(pem: &[u8], whose: &'static str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(read) if read.is_empty() => {
            Err(Error::config("tls", format!("`{whose}`: there is no certificate in the PEM")))
        }
        Ok(read) => Ok(read),
        Err(error) => Err(Error::caused(ErrorKind::Config, "tls", format!("`{whose}`: the PEM cannot be read"), error)),
    }
}

/// A stream to a server that has shown a certificate for its host.
pub(crate) async fn open(connector: &TlsConnector, host: &str, port: u16) -> Result<TlsStream<TcpStream>, RedisError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        RedisError::from((
            redis::ErrorKind::InvalidClientConfig,
            "no name that a certificate could have",
            host.to_owned(),
        ))
    })?;
    let addresses: Vec<_> =
        lookup_host((host, port)).await?.map(|address| Box::pin(TcpStream::connect(address))).collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address").into());
    }
    let (stream, _) = select_ok(addresses).await?;
    stream.set_nodelay(true)?;
    connector.connect(name, stream).await.map_err(|error| or_refused(error.into()))
}

/// Whoever is there is not who they have to be, or does not take us for who we are: that is for a person to put right.
///
/// The second is said after the handshake, in answer to whatever comes first (RFC 8446, section 4.4.2.4).
pub(crate) fn or_refused(error: RedisError) -> RedisError {
    let inner = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<SharedError>());
    let inner = inner.and_then(|shared| shared.downcast_ref::<io::Error>()).and_then(io::Error::get_ref);
    if inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>) {
        RedisError::from((redis::ErrorKind::InvalidClientConfig, "the TLS handshake failed", error.to_string()))
    } else {
        error
    }
}

/// As the client wraps errors of streams.
type SharedError = Arc<dyn std::error::Error + Send + Sync>;
