//! The routes: JSON in and out, errors too.

mod extract;
mod inspect;
mod listings;
mod pages;
mod products;
mod refusal;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::catalogue::Repository;
use crate::outcome;
pub(crate) use refusal::Refusal;

/// The largest body that is read.
const BODY_MAX_BYTES: usize = 16 * 1024;

/// All routes, over one repository.
pub(crate) fn router(repository: Repository) -> Router {
    // Writes go through the layer too: one that succeeds evicts what is kept of its URL.
    let pages = Router::new()
        .route("/products/{id}", get(products::show).put(products::save).delete(products::delete))
        .route("/categories/{category}/products", get(listings::category))
        .layer(pages::layer(repository.cache()));
    Router::new()
        .merge(pages)
        .route("/products/{id}/stock", get(products::stock).post(products::restock))
        .route("/products/{id}/ratings", get(products::ratings))
        .route("/products/{id}/reviews", post(products::review))
        .route("/categories", get(listings::categories))
        .route("/categories/{category}/discount", post(listings::discount))
        .route("/search", get(listings::search))
        .route("/top", get(listings::top))
        .route("/stats", get(inspect::stats))
        .route("/explain/{scope}", get(inspect::explain))
        .fallback(|| async { Refusal::Route })
        .method_not_allowed_fallback(|| async { Refusal::Method })
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .layer(from_fn_with_state(repository.clone(), outcome::report))
        .with_state(repository)
}
