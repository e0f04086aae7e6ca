//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use http::uri::{Authority, Scheme, Uri};

/// A caching reverse proxy in front of one HTTP upstream.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// Where to listen, for HTTP/1.1 and HTTP/2 without TLS.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Where requests go that the cache does not answer, such as http://127.0.0.1:8000.
    #[arg(long, value_name = "URL", value_parser = upstream)]
    pub(crate) upstream: Authority,
    /// A Redis to share the cache with other processes, such as redis://127.0.0.1/. Without it, each process has its own.
    #[arg(long, value_name = "URL")]
    pub(crate) redis: Option<String>,
    /// What this proxy calls itself in `Via` and `Cache-Status`.
    #[arg(long, value_name = "NAME", default_value = "cache-proxy", value_parser = name)]
    pub(crate) name: String,
    /// The `Host` that the upstream gets: the client's, or the one of --upstream.
    #[arg(long, value_enum, default_value_t = Host::Client)]
    pub(crate) host: Host,
    /// The largest body that is stored, in bytes or with K, M or G; larger ones go through.
    #[arg(long, value_name = "SIZE", default_value = "4M", value_parser = bytes)]
    pub(crate) max_body: usize,
    /// How many answers this process keeps, the ones used most.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    pub(crate) entries: u64,
    /// A file with the bearer token of those whose PURGE requests are obeyed. Without it these go to the upstream.
    #[arg(long, value_name = "FILE")]
    pub(crate) purge_token: Option<PathBuf>,
    /// How long the upstream may take to begin its answer, in seconds. A request with a body may take as long as it needs.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

/// Whose `Host` the upstream gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Host {
    /// As the client sent it.
    Client,
    /// As in --upstream.
    Upstream,
}

fn upstream(text: &str) -> Result<Authority, String> {
    let uri: Uri = text.parse().map_err(|error| format!("{error}; write it as http://HOST:PORT"))?;
    let parts = uri.into_parts();
    match parts.scheme {
        Some(scheme) if scheme == Scheme::HTTP => {}
        Some(scheme) => return Err(format!("`{scheme}` is not spoken here; only http:// is")),
        None => return Err("the scheme is missing; write it as http://HOST:PORT".to_owned()),
    }
    if parts.path_and_query.is_some_and(|path| path != "/") {
        return Err("a path cannot be put before those of requests; leave it out".to_owned());
    }
    match parts.authority {
        Some(authority) if authority.as_str().contains('@') => {
            Err("user and password are not sent; leave them out".into())
        }
        Some(authority) => Ok(authority),
        None => Err("the host is missing; write it as http://HOST:PORT".to_owned()),
    }
}

/// A token (RFC 9110 section 5.6.2), as `Via` wants it.
fn name(text: &str) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_token) {
        return Err("letters, digits and any of !#$%&'*+-.^_`|~ are what a name is made of".to_owned());
    }
    Ok(text.to_owned())
}

fn bytes(text: &str) -> Result<usize, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: usize = digits.parse().map_err(|_| "write it as 65536, 64K, 4M or 1G".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "that is more than there can be".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err("write a number of seconds from 1 to 86400".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn upstream_is_a_plain_http_origin() {
        for good in ["http://127.0.0.1:8000", "http://[::1]:80/", "HTTP://origin.example"] {
            assert!(upstream(good).is_ok(), "{good}");
        }
        for bad in ["127.0.0.1:8000", "https://a", "http://a/path", "http://a/?q", "http://u:p@a", "/a", "", "http://"]
        {
            assert!(upstream(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_have_a_letter() {
        assert_eq!(bytes("7"), Ok(7));
        assert_eq!(bytes("64k"), Ok(65_536));
        assert_eq!(bytes("1G"), Ok(1 << 30));
        for bad in ["", "K", "-1", "1.5M", "4MiB", "99999999999999999999", "18446744073709551615K", "1\u{e9}"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_tokens() {
        assert!(name("edge-1.example").is_ok());
        for bad in ["", "a b", "a,b", "a;b", "\u{e9}", "a\n"] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}
