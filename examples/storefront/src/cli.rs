//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A shop's catalogue over SQLite, with a cache in front.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    /// What to do; without it, serve.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// How to serve.
    #[command(flatten)]
    pub(crate) serve: ServeOptions,
}

/// What there is beside serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the service, drive it over HTTP, and check what the cache did for each request.
    Tour(TourOptions),
}

/// How to serve.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeOptions {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    pub(crate) listen: SocketAddr,
    /// A Redis to share the cache with other processes, such as redis://127.0.0.1/. Without it, each process has its own.
    #[arg(long, value_name = "URL")]
    pub(crate) redis: Option<String>,
    /// The folder of the SQLite file; created and filled on the first start [default: `storefront` in the folder for temporary
    /// files].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// What the keys in Redis begin with.
    #[arg(long, value_name = "NAME", default_value = "storefront")]
    pub(crate) namespace: String,
    /// What a call to the cache may spend on Redis, in milliseconds [default: 12].
    #[arg(long, hide = true)]
    pub(crate) budget_ms: Option<u64>,
    /// Started by a tour: say the address in one line, and stop when stdin ends.
    #[arg(long, hide = true)]
    pub(crate) child: bool,
}

/// How to tour.
#[derive(Clone, Debug, Args)]
pub(crate) struct TourOptions {
    /// Tour two processes that share this Redis. Everything is kept under a namespace of its own, and removed at the end.
    #[arg(long, value_name = "URL")]
    pub(crate) redis: Option<String>,
    /// Tour an outage: two processes and a redis-server of the tour's own, which is killed and started again.
    #[arg(long, conflicts_with = "redis")]
    pub(crate) outage: bool,
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
    fn tour_takes_a_redis_or_an_outage() {
        assert!(Cli::try_parse_from(["storefront", "tour", "--outage"]).is_ok());
        assert!(Cli::try_parse_from(["storefront", "tour", "--outage", "--redis", "redis://127.0.0.1/"]).is_err());
        assert!(Cli::try_parse_from(["storefront", "--listen", "nowhere"]).is_err());
    }
}
