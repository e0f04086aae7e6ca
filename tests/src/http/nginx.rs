//! nginx with its cache and without a log: as people have it, and with what makes a hit cost it the least.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{core::Core, server::Server};

/// nginx, with a directory that is gone when this is dropped.
pub(crate) struct Nginx {
    pub(crate) server: Server,
    _directory: TempDir,
}

/// What becomes of the files that answers are in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Files {
    /// They are opened and closed for each hit, which is the default.
    OpenedForEach,
    /// `open_file_cache`.
    KeptOpen,
}

/// Where it is, if it is installed.
pub(crate) fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    places.map(|place| place.join("nginx")).find(|program| program.exists())
}

/// `nginx/1.22.1`.
pub(crate) fn version(program: &Path) -> String {
    let said = Command::new(program).arg("-v").output().map(|said| said.stderr).unwrap_or_default();
    String::from_utf8_lossy(&said).rsplit(' ').next().unwrap_or_default().trim().to_owned()
}

/// Starts it in front of an upstream, on the core of the servers.
pub(crate) fn start(program: &Path, upstream: SocketAddr, files: Files) -> Nginx {
    let directory = tempfile::Builder::new().prefix("cache-tests-").tempdir().unwrap();
    let place = directory.path().to_owned();
    let server = Server::start(program, Some(Core::OfServers), |address| {
        let file = place.join("nginx.conf");
        std::fs::write(&file, configuration(address, upstream, files)).unwrap();
        let [place, file] = [&place, &file].map(|path| path.display().to_string());
        vec!["-p".to_owned(), place, "-c".to_owned(), file, "-e".to_owned(), "stderr".to_owned()]
    });
    Nginx { server, _directory: directory }
}

/// One process that is its own master, so that it dies with us: a worker as any other.
fn configuration(address: SocketAddr, upstream: SocketAddr, files: Files) -> String {
    let files = match files {
        Files::OpenedForEach => "",
        Files::KeptOpen => "open_file_cache max=1000 inactive=600s;",
    };
    format!(
        "daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    {files}
    client_body_temp_path body;
    proxy_temp_path temp;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    proxy_cache_path cache levels=1:2 keys_zone=pages:10m inactive=1h;
    server {{
        listen {address} backlog=4096;
        location / {{
            proxy_pass http://{upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_cache pages;
        }}
    }}
}}
"
    )
}
