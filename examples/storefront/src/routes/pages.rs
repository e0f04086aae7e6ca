//! Products and listings as pages for people, kept by the HTTP layer under the tags that the functions have.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use cache_core::Cache;
use cache_tower::CacheLayer;

use super::refusal::Refusal;
use crate::catalogue::Repository;
use crate::catalogue::model::Page;
use crate::header::{LAYER, PAGES};

/// A browser asks each time, and gets a 304 if it has the page; here it is kept for a minute.
const KEPT: &str = "max-age=0, s-maxage=60";
/// That there is nothing is kept as long as the function keeps it.
const NOTHING_KEPT: &str = "max-age=0, s-maxage=10";
const SURROGATE_KEY: &str = "surrogate-key";

/// In what form a client wants something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// JSON, which whoever says nothing gets.
    Data,
    /// HTML.
    Page,
}

/// Keeps pages. Data goes past it: what that is made of the functions keep themselves.
pub(crate) fn layer(cache: &Cache) -> CacheLayer {
    CacheLayer::new(cache)
        .scope(PAGES)
        .cache_status(Some(LAYER))
        .bypass(|request| Wants::of(&request.headers) == Wants::Data)
}

/// A product with what its reviews say. It goes with its category, and with the product itself.
pub(crate) async fn product(repository: &Repository, id: u64) -> Result<Response, Refusal> {
    let (product, ratings) = (repository.find(id).await?, repository.ratings(id).await?);
    let Some(product) = product else {
        // No tag leads here. A PUT that creates it has this URL, and evicts what is kept of it.
        let text = page("Nothing here", &format!("<p>There is no product {id}.</p>"));
        return Ok((StatusCode::NOT_FOUND, html(text, NOTHING_KEPT)).into_response());
    };
    let mut text = format!("<p>{}</p>\n<p>{}</p>", escaped(&product.description), price(product.price_cents));
    if let Some(rating) = ratings.as_ref().and_then(|ratings| ratings.rating) {
        let _infallible = write!(text, "\n<p>{rating:.1} of 5</p>");
    }
    let tags = format!("category:{} page:{id}", product.category);
    Ok(([(SURROGATE_KEY, tags)], html(page(&product.name, &text), KEPT)).into_response())
}

/// A page of a category. It goes with what the function behind it goes with.
pub(crate) async fn listing(repository: &Repository, category: &str, number: u32) -> Result<Response, Refusal> {
    let Page { products, .. } = repository.by_category(category, number).await?;
    let mut text = "<ul>".to_owned();
    for product in &*products {
        let (id, name, price) = (product.id, escaped(&product.name), price(product.price_cents));
        let _infallible = write!(text, "\n<li><a href=\"/products/{id}\">{name}</a>, {price}</li>");
    }
    text.push_str("\n</ul>");
    let tags = format!("category:{category} listing:{category}");
    Ok(([(SURROGATE_KEY, tags)], html(page(category, &text), KEPT)).into_response())
}

/// The fields of a page. Its tag is made of its bytes: the same page is the same on every node.
fn html(text: String, kept: &'static str) -> impl IntoResponse {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let etag = format!("\"{:016x}\"", hasher.finish());
    let fields = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, kept), (VARY, "accept")];
    (fields, [(ETAG, etag)], text)
}

fn page(title: &str, text: &str) -> String {
    let title = escaped(title);
    format!("<!doctype html>\n<title>{title}</title>\n<h1>{title}</h1>\n{text}\n")
}

fn price(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Whoever may write a product may write anything into it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

// === impl Wants ===

impl Wants {
    fn of(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(ACCEPT).iter();
        let wants_page = lines.any(|line| line.to_str().is_ok_and(|line| line.contains("text/html")));
        if wants_page { Self::Page } else { Self::Data }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Wants {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn browsers_want_pages_and_others_data() {
        let wants = |accept| Wants::of(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]));
        assert_eq!(wants("text/html,application/xhtml+xml,*/*;q=0.8"), Wants::Page);
        assert_eq!(
            (wants("application/json"), wants("*/*"), Wants::of(&HeaderMap::new())),
            (Wants::Data, Wants::Data, Wants::Data)
        );
    }

    #[test]
    fn text_of_a_product_is_text_on_its_page() {
        assert_eq!(escaped("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
