//! Why the upstream gave no answer, and what the client is told of it.

use std::{fmt, time::Duration};

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};

/// The upstream gave no answer. To the layer that is an error, so that a stored answer may stand in.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    /// The request was one about a stored answer, by the client or by the layer.
    pub(crate) was_conditional: bool,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// It cannot be connected to, or broke off before its answer began.
    Broken(hyper_util::client::legacy::Error),
    /// It did not begin to answer within this time.
    Late(Duration),
    /// It changed to a protocol that nobody had asked for.
    Switched,
    /// What the request is for cannot be written as a target for it.
    Target(http::Error),
}

impl Failure {
    pub(crate) fn new(kind: Kind, was_conditional: bool) -> Self {
        Self { kind, was_conditional }
    }

    /// What the client is told, whose request had a condition or not.
    ///
    /// Where the layer has made a request conditional, it has an answer that it may not serve stale, as with `must-revalidate`:
    /// RFC 9111 section 5.2.2.2 wants a 504.
    pub(crate) fn response(&self, client_was_conditional: bool) -> Response {
        let withheld = self.was_conditional && !client_was_conditional;
        let status = match self.kind {
            Kind::Target(_) => StatusCode::BAD_REQUEST,
            Kind::Late(_) => StatusCode::GATEWAY_TIMEOUT,
            Kind::Broken(_) | Kind::Switched if withheld => StatusCode::GATEWAY_TIMEOUT,
            Kind::Broken(_) | Kind::Switched => StatusCode::BAD_GATEWAY,
        };
        text(status, &format!("{self}\n"))
    }
}

/// An answer of the proxy's own.
pub(crate) fn text(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

impl fmt::Display for Failure {
    /// Without the upstream's address: clients read it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Broken(error) if error.is_connect() => f.write_str("the upstream cannot be reached"),
            Kind::Broken(_) => f.write_str("the upstream broke off before it answered"),
            Kind::Late(patience) => write!(f, "the upstream did not answer within {patience:?}"),
            Kind::Switched => f.write_str("the upstream changed the protocol unasked"),
            Kind::Target(_) => f.write_str("the request's target cannot be forwarded"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::Broken(error) => Some(error),
            Kind::Target(error) => Some(error),
            Kind::Late(_) | Kind::Switched => None,
        }
    }
}
