//! What is answered when a request cannot be: a status, and a JSON body with a word for programs and a sentence for people.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::catalogue::Failure;

/// Why a request was refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The catalogue said so.
    Catalogue(Failure),
    /// axum could not read the path, the query or the body: its own status and words.
    Form(StatusCode, String),
    /// There is no such route.
    Route,
    /// The route does not know the method.
    Method,
    /// It took too long.
    Timeout,
}

// === impl Refusal ===

impl Refusal {
    fn parts(self) -> (StatusCode, &'static str, String) {
        match self {
            Self::Catalogue(Failure::Database(error)) => {
                // Its text may name tables and files: that is for the log alone.
                eprintln!("storefront: database: {error}");
                (StatusCode::INTERNAL_SERVER_ERROR, "database", "the database could not answer".to_owned())
            }
            Self::Catalogue(failure @ Failure::NotFound(_)) => {
                (StatusCode::NOT_FOUND, "not_found", failure.to_string())
            }
            Self::Catalogue(failure @ Failure::Invalid(_)) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid", failure.to_string())
            }
            Self::Catalogue(failure @ Failure::Conflict(_)) => (StatusCode::CONFLICT, "conflict", failure.to_string()),
            Self::Form(status, why) => (status, "invalid", why),
            Self::Route => (StatusCode::NOT_FOUND, "not_found", "no such route".to_owned()),
            Self::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, "method", "the route does not know this method".to_owned())
            }
            Self::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout", "the request took too long".to_owned()),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Catalogue(failure)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message) = self.parts();
        (status, Json(json!({ "error": { "code": code, "message": message } }))).into_response()
    }
}
