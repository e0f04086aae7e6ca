//! Many products: by category, by words, the best rated.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::VARY;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::{Body, Path, Query};
use super::pages::{self, Wants};
use super::refusal::Refusal;
use crate::catalogue::model::{Category, LAST_PAGE, Page, PriceRange, is_slug, require};
use crate::catalogue::{Failure, Repository};

/// `GET /categories`
pub(crate) async fn categories(State(repository): State<Repository>) -> Result<Json<Arc<[Category]>>, Refusal> {
    Ok(Json(repository.categories().await?))
}

/// What `GET /categories/{category}/products` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    #[serde(default = "first")]
    page: u32,
}

/// `GET /categories/{category}/products?page=`, as JSON or as a page.
pub(crate) async fn category(
    State(repository): State<Repository>,
    Path(category): Path<String>,
    Query(Paging { page }): Query<Paging>,
    wants: Wants,
) -> Result<Response, Refusal> {
    require(is_slug(&category), "a category is a slug such as `office-chairs`")?;
    require((1..=LAST_PAGE).contains(&page), "`page` must be between 1 and 500")?;
    match wants {
        Wants::Data => Ok(([(VARY, "accept")], Json(repository.by_category(&category, page).await?)).into_response()),
        Wants::Page => pages::listing(&repository, &category, page).await,
    }
}

/// What `POST /categories/{category}/discount` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Discount {
    percent: u8,
}

/// `POST /categories/{category}/discount`
pub(crate) async fn discount(
    State(repository): State<Repository>,
    Path(category): Path<String>,
    Body(Discount { percent }): Body<Discount>,
) -> Result<Json<Value>, Refusal> {
    require(is_slug(&category), "a category is a slug such as `office-chairs`")?;
    require((1..=90).contains(&percent), "`percent` must be between 1 and 90")?;
    let products = repository.discount(&category, percent).await?;
    if products == 0 {
        return Err(Failure::NotFound("category").into());
    }
    Ok(Json(json!({ "category": category, "products": products })))
}

/// What `GET /search` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    q: String,
    min_cents: Option<u64>,
    max_cents: Option<u64>,
    #[serde(default = "first")]
    page: u32,
}

/// `GET /search?q=&min_cents=&max_cents=&page=`
pub(crate) async fn search(
    State(repository): State<Repository>,
    Query(search): Query<Search>,
) -> Result<Json<Page>, Refusal> {
    // `LIKE` does not tell the cases of ASCII letters apart: one spelling of the term is one key.
    let term = search.q.trim().to_ascii_lowercase();
    require((2..=60).contains(&term.chars().count()), "`q` must have 2 to 60 characters")?;
    require((1..=LAST_PAGE).contains(&search.page), "`page` must be between 1 and 500")?;
    let price = PriceRange::between(search.min_cents, search.max_cents)?;
    Ok(Json(repository.search(&term, price, search.page).await?))
}

/// What `GET /top` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Top {
    #[serde(default = "ten")]
    limit: u32,
}

/// `GET /top?limit=`
pub(crate) async fn top(
    State(repository): State<Repository>,
    Query(Top { limit }): Query<Top>,
) -> Result<Json<Page>, Refusal> {
    require((1..=50).contains(&limit), "`limit` must be between 1 and 50")?;
    Ok(Json(repository.top_rated(limit).await?))
}

fn first() -> u32 {
    1
}

fn ten() -> u32 {
    10
}
