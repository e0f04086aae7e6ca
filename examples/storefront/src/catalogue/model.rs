//! What the catalogue holds, and what it accepts.

use std::sync::Arc;

use cache_core::KeyPart;
use serde::{Deserialize, Serialize};

use super::Failure;

/// Rows on a page of a listing or of a search.
pub(crate) const PAGE_ROWS: u32 = 20;
/// The last page that is served: nobody reads on, and a bound keeps the keys finite.
pub(crate) const LAST_PAGE: u32 = 500;
/// The highest price that is accepted, in cents.
pub(crate) const MAX_PRICE_CENTS: u64 = 100_000_000;

/// One product, as its row has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Product {
    /// Its number, chosen by whoever created it.
    pub(crate) id: u64,
    /// The slug of its category; it never changes.
    pub(crate) category: String,
    /// What it is called.
    pub(crate) name: String,
    /// A sentence or two.
    pub(crate) description: String,
    /// Price in cents.
    pub(crate) price_cents: u64,
    /// Raised by one with every update, so that an old answer can be told from a new one.
    pub(crate) revision: u64,
}

/// What a client sends to create or update a product.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    /// See [`Product::category`].
    pub(crate) category: String,
    /// See [`Product::name`].
    pub(crate) name: String,
    /// See [`Product::description`].
    #[serde(default)]
    pub(crate) description: String,
    /// See [`Product::price_cents`].
    pub(crate) price_cents: u64,
}

/// A product as a listing shows it: without its description, with what its reviews say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Listed {
    /// The product.
    pub(crate) id: u64,
    /// Its name.
    pub(crate) name: String,
    /// Its category's slug.
    pub(crate) category: String,
    /// Its price in cents.
    pub(crate) price_cents: u64,
    /// The mean of its ratings, one to five; nothing without a review.
    pub(crate) rating: Option<f64>,
    /// How many reviews it has.
    pub(crate) reviews: u64,
}

/// One page of products. A hit shares the rows: it copies no text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Page {
    /// Counted from one.
    pub(crate) page: u32,
    /// At most [`PAGE_ROWS`].
    pub(crate) products: Arc<[Listed]>,
}

/// What the reviews of one product say together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ratings {
    /// The product.
    pub(crate) product_id: u64,
    /// How many reviews there are.
    pub(crate) reviews: u64,
    /// The mean of the ratings; nothing without a review.
    pub(crate) rating: Option<f64>,
}

/// A review as it is sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Review {
    /// One to five.
    pub(crate) rating: u8,
    /// What the reviewer wrote.
    #[serde(default)]
    pub(crate) text: String,
}

/// A review as it was stored.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reviewed {
    /// Its number.
    pub(crate) id: u64,
    /// The category of the product, whose listings show ratings.
    pub(crate) category: String,
}

/// The prices a search is narrowed to, both included, in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, KeyPart)]
pub(crate) struct PriceRange {
    /// The lowest.
    pub(crate) min_cents: u64,
    /// The highest.
    pub(crate) max_cents: u64,
}

/// A category and how many products it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Category {
    /// Its name in URLs.
    pub(crate) slug: String,
    /// How many products it has.
    pub(crate) products: u64,
}

// === impl Draft ===

impl Draft {
    /// The product that this draft makes under `id`, or what is wrong with it.
    pub(crate) fn into_product(self, id: u64) -> Result<Product, Failure> {
        require((1..=u64::from(u32::MAX)).contains(&id), "`id` must be between 1 and 4294967295")?;
        require(is_slug(&self.category), "`category` must be a slug such as `office-chairs`")?;
        let name = self.name.trim();
        require((1..=120).contains(&name.chars().count()), "`name` must have 1 to 120 characters")?;
        require(self.description.chars().count() <= 2_000, "`description` must have at most 2000 characters")?;
        require(self.price_cents <= MAX_PRICE_CENTS, "`price_cents` must be at most 100000000")?;
        let name = name.to_owned();
        Ok(Product {
            id,
            category: self.category,
            name,
            description: self.description,
            price_cents: self.price_cents,
            revision: 1,
        })
    }
}

// === impl Review ===

impl Review {
    /// The review itself, if it is one.
    pub(crate) fn checked(self) -> Result<Self, Failure> {
        require((1..=5).contains(&self.rating), "`rating` must be between 1 and 5")?;
        require(self.text.chars().count() <= 2_000, "`text` must have at most 2000 characters")?;
        Ok(self)
    }
}

// === impl PriceRange ===

impl PriceRange {
    /// The range between two optional ends.
    pub(crate) fn between(min: Option<u64>, max: Option<u64>) -> Result<Self, Failure> {
        // Every price is below the cap, so ends above it are one range: they share a key.
        let range =
            Self { min_cents: min.unwrap_or(0), max_cents: max.unwrap_or(MAX_PRICE_CENTS).min(MAX_PRICE_CENTS) };
        require(range.min_cents <= range.max_cents, "`min_cents` must not be above `max_cents`")?;
        Ok(range)
    }
}

/// Whether `text` is a category's name in a URL: lower-case words joined by hyphens.
pub(crate) fn is_slug(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// `Ok` if `holds`, else the message as invalid input.
pub(crate) fn require(holds: bool, message: &'static str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Invalid(message)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft { category: "lamps".into(), name: " Oak lamp ".into(), description: String::new(), price_cents: 4_900 }
    }

    #[test]
    fn draft_that_is_valid_becomes_a_trimmed_product() {
        let product = draft().into_product(7).unwrap();
        assert_eq!((product.id, product.name.as_str(), product.revision), (7, "Oak lamp", 1));
    }

    #[test]
    fn draft_with_a_bad_field_is_refused() {
        let bad: [fn(&mut Draft); 4] = [
            |draft| draft.category = "Lamps & more".into(),
            |draft| draft.name = "   ".into(),
            |draft| draft.description = "x".repeat(2_001),
            |draft| draft.price_cents = MAX_PRICE_CENTS + 1,
        ];
        for spoil in bad {
            let mut draft = draft();
            spoil(&mut draft);
            assert!(matches!(draft.into_product(7), Err(Failure::Invalid(_))));
        }
        assert!(draft().into_product(0).is_err());
        assert!(draft().into_product(1 << 40).is_err());
    }

    #[test]
    fn price_range_ends_above_the_cap_are_one_range() {
        let open = PriceRange::between(None, None).unwrap();
        assert_eq!(open, PriceRange::between(Some(0), Some(u64::MAX)).unwrap());
        assert!(PriceRange::between(Some(2), Some(1)).is_err());
    }
}
