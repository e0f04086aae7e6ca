//! The SQL, and how its rows become values.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::model::{Category, Listed, Product, Ratings};

/// The tables. A file of another `user_version` is refused.
pub(crate) const SCHEMA: &str = "
CREATE TABLE products (
    id          INTEGER PRIMARY KEY,
    category    TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    description TEXT    NOT NULL,
    price_cents INTEGER NOT NULL,
    revision    INTEGER NOT NULL
);
CREATE TABLE stock (
    product_id INTEGER PRIMARY KEY REFERENCES products(id) ON DELETE CASCADE,
    quantity   INTEGER NOT NULL CHECK (quantity >= 0)
);
CREATE TABLE reviews (
    id         INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL REFERENCES products(id) ON DELETE CASCADE,
    rating     INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
    text       TEXT    NOT NULL
);
CREATE INDEX products_by_category ON products(category);
CREATE INDEX reviews_by_product   ON reviews(product_id);
";

pub(crate) const FIND: &str =
    "SELECT id, category, name, description, price_cents, revision FROM products WHERE id = ?1";

pub(crate) const CATEGORIES: &str =
    "SELECT category AS slug, COUNT(*) AS products FROM products GROUP BY category ORDER BY category";

/// Slow on purpose: the mean rating of every product of the category is worked out to show twenty of them.
pub(crate) const BY_CATEGORY: &str = "
SELECT p.id, p.name, p.category, p.price_cents, AVG(r.rating) AS rating, COUNT(r.id) AS reviews
FROM products p LEFT JOIN reviews r ON r.product_id = p.id
WHERE p.category = ?1
GROUP BY p.id
ORDER BY rating DESC NULLS LAST, p.id
LIMIT ?2 OFFSET ?3";

/// Slow on purpose: a pattern that begins with `%` has no index, so every row is read.
pub(crate) const SEARCH: &str = "
SELECT p.id, p.name, p.category, p.price_cents,
       (SELECT AVG(rating) FROM reviews WHERE product_id = p.id) AS rating,
       (SELECT COUNT(*) FROM reviews WHERE product_id = p.id) AS reviews
FROM products p
WHERE (p.name LIKE ?1 ESCAPE '\\' OR p.description LIKE ?1 ESCAPE '\\')
  AND p.price_cents BETWEEN ?2 AND ?3
ORDER BY p.price_cents, p.id
LIMIT ?4 OFFSET ?5";

/// Slow on purpose: every review of the shop is grouped and sorted.
pub(crate) const TOP_RATED: &str = "
SELECT p.id, p.name, p.category, p.price_cents, AVG(r.rating) AS rating, COUNT(r.id) AS reviews
FROM reviews r JOIN products p ON p.id = r.product_id
GROUP BY p.id
ORDER BY rating DESC, reviews DESC, p.id
LIMIT ?1";

pub(crate) const STOCK: &str = "SELECT quantity FROM stock WHERE product_id = ?1";

pub(crate) const RATINGS: &str = "
SELECT p.id AS product_id, COUNT(r.id) AS reviews, AVG(r.rating) AS rating
FROM products p LEFT JOIN reviews r ON r.product_id = p.id
WHERE p.id = ?1
GROUP BY p.id";

/// Creates, or updates if the category is the same; another category gives no row.
pub(crate) const SAVE: &str = "
INSERT INTO products (id, category, name, description, price_cents, revision) VALUES (?1, ?2, ?3, ?4, ?5, 1)
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, description = excluded.description, price_cents = excluded.price_cents, revision = revision + 1
    WHERE category = excluded.category
RETURNING id, category, name, description, price_cents, revision";

pub(crate) const SAVE_STOCK: &str = "INSERT INTO stock (product_id, quantity) VALUES (?1, 0) ON CONFLICT DO NOTHING";

pub(crate) const DELETE: &str = "DELETE FROM products WHERE id = ?1 RETURNING category";

pub(crate) const DISCOUNT: &str =
    "UPDATE products SET price_cents = price_cents * (100 - ?2) / 100, revision = revision + 1 WHERE category = ?1";

/// A change that would leave less than nothing gives no row.
pub(crate) const RESTOCK: &str =
    "UPDATE stock SET quantity = quantity + ?2 WHERE product_id = ?1 AND quantity + ?2 >= 0 RETURNING quantity";

/// Gives no row where there is no such product.
pub(crate) const ADD_REVIEW: &str =
    "INSERT INTO reviews (product_id, rating, text) SELECT id, ?2, ?3 FROM products WHERE id = ?1 RETURNING id";

/// A pattern for `LIKE .. ESCAPE '\'` that finds `term` anywhere, taken literally.
pub(crate) fn contains(term: &str) -> String {
    let mut pattern = String::with_capacity(term.len() + 2);
    pattern.push('%');
    for character in term.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

pub(crate) fn product(row: &SqliteRow) -> sqlx::Result<Product> {
    Ok(Product {
        id: row.try_get("id")?,
        category: row.try_get("category")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        price_cents: row.try_get("price_cents")?,
        revision: row.try_get("revision")?,
    })
}

pub(crate) fn listed(row: &SqliteRow) -> sqlx::Result<Listed> {
    Ok(Listed {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        category: row.try_get("category")?,
        price_cents: row.try_get("price_cents")?,
        rating: row.try_get("rating")?,
        reviews: row.try_get("reviews")?,
    })
}

pub(crate) fn ratings(row: &SqliteRow) -> sqlx::Result<Ratings> {
    Ok(Ratings {
        product_id: row.try_get("product_id")?,
        reviews: row.try_get("reviews")?,
        rating: row.try_get("rating")?,
    })
}

pub(crate) fn category(row: &SqliteRow) -> sqlx::Result<Category> {
    Ok(Category { slug: row.try_get("slug")?, products: row.try_get("products")? })
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn contains_takes_wildcards_literally() {
        assert_eq!(contains("oak"), "%oak%");
        assert_eq!(contains(r"100%_\"), r"%100\%\_\\%");
    }
}
