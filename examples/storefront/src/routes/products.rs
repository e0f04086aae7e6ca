//! One product: read, stored, removed; its stock and its reviews.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::VARY;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::{Body, Path};
use super::pages::{self, Wants};
use super::refusal::Refusal;
use crate::catalogue::model::{Draft, Product, Ratings, Review, require};
use crate::catalogue::{Failure, Repository};

/// The most pieces that one request adds or takes.
const MAX_CHANGE: i64 = 1_000_000;
const MISSING: Failure = Failure::NotFound("product");

/// `GET /products/{id}`, as JSON or as a page.
pub(crate) async fn show(
    State(repository): State<Repository>,
    Path(id): Path<u64>,
    wants: Wants,
) -> Result<Response, Refusal> {
    match wants {
        Wants::Data => Ok(([(VARY, "accept")], Json(repository.find(id).await?.ok_or(MISSING)?)).into_response()),
        Wants::Page => pages::product(&repository, id).await,
    }
}

/// `PUT /products/{id}`: 201 if it is new.
pub(crate) async fn save(
    State(repository): State<Repository>,
    Path(id): Path<u64>,
    Body(draft): Body<Draft>,
) -> Result<(StatusCode, Json<Product>), Refusal> {
    let product = repository.save(draft.into_product(id)?).await?;
    let status = if product.revision == 1 { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(product)))
}

/// `DELETE /products/{id}`
pub(crate) async fn delete(State(repository): State<Repository>, Path(id): Path<u32>) -> Result<StatusCode, Refusal> {
    Ok(repository.delete(id).await?.map(|_| StatusCode::NO_CONTENT).ok_or(MISSING)?)
}

/// `GET /products/{id}/stock`
pub(crate) async fn stock(State(repository): State<Repository>, Path(id): Path<u64>) -> Result<Json<Value>, Refusal> {
    let quantity = repository.stock(id).await?.ok_or(MISSING)?;
    Ok(Json(json!({ "product_id": id, "quantity": quantity })))
}

/// What `POST /products/{id}/stock` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restock {
    /// Pieces that came, or went if below zero.
    change: i64,
}

/// `POST /products/{id}/stock`
pub(crate) async fn restock(
    State(repository): State<Repository>,
    Path(id): Path<u64>,
    Body(Restock { change }): Body<Restock>,
) -> Result<Json<Value>, Refusal> {
    require(
        change != 0 && (-MAX_CHANGE..=MAX_CHANGE).contains(&change),
        "`change` must be between -1000000 and 1000000, and not 0",
    )?;
    let quantity = repository
        .restock(id, change)
        .await?
        .ok_or(Failure::Conflict("there is no such product, or not enough of it"))?;
    Ok(Json(json!({ "product_id": id, "quantity": quantity })))
}

/// `GET /products/{id}/ratings`
pub(crate) async fn ratings(
    State(repository): State<Repository>,
    Path(id): Path<u64>,
) -> Result<Json<Ratings>, Refusal> {
    Ok(repository.ratings(id).await?.map(Json).ok_or(MISSING)?)
}

/// `POST /products/{id}/reviews`
pub(crate) async fn review(
    State(repository): State<Repository>,
    Path(id): Path<u64>,
    Body(review): Body<Review>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let stored = repository.add_review(id, review.checked()?).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": stored.id, "product_id": id }))))
}
