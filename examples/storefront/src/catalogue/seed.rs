//! The rows of a new catalogue: the same on every machine.

use std::io::{IsTerminal, Write};

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

/// Products in a new catalogue.
pub(crate) const PRODUCTS: u64 = 50_000;
/// Rows in one statement: far below SQLite's limit of 32,766 parameters.
const ROWS: usize = 1_000;

/// Slug, and the word for one piece.
const CATEGORIES: [(&str, &str); 25] = [
    ("armchairs", "armchair"),
    ("backpacks", "backpack"),
    ("bicycles", "bicycle"),
    ("blankets", "blanket"),
    ("bookcases", "bookcase"),
    ("cameras", "camera"),
    ("carpets", "carpet"),
    ("clocks", "clock"),
    ("coffee-makers", "coffee maker"),
    ("curtains", "curtain"),
    ("desks", "desk"),
    ("garden-benches", "garden bench"),
    ("headphones", "headphone"),
    ("kettles", "kettle"),
    ("keyboards", "keyboard"),
    ("knives", "knife"),
    ("lamps", "lamp"),
    ("mirrors", "mirror"),
    ("office-chairs", "office chair"),
    ("pans", "pan"),
    ("radios", "radio"),
    ("sofas", "sofa"),
    ("tables", "table"),
    ("teapots", "teapot"),
    ("tents", "tent"),
];
const MANNERS: [&str; 16] = [
    "Quiet", "Sturdy", "Slim", "Nordic", "Classic", "Modern", "Folding", "Travel", "Compact", "Grand", "Simple",
    "Heritage", "Light", "Urban", "Rustic", "Fine",
];
const MATERIALS: [&str; 16] = [
    "oak", "walnut", "steel", "linen", "copper", "wool", "bamboo", "leather", "glass", "ceramic", "cork", "brass",
    "marble", "ash", "cotton", "slate",
];
const PLACES: [&str; 12] = [
    "a small kitchen",
    "a long journey",
    "the first flat",
    "a reading corner",
    "the terrace",
    "a shared office",
    "the guest room",
    "winter evenings",
    "a busy family",
    "the weekend house",
    "a narrow hall",
    "everyday use",
];

/// What a seeded product is, told from its number alone.
struct Row {
    id: u64,
    category: &'static str,
    name: String,
    description: String,
    price_cents: u64,
    quantity: u64,
}

/// Writes all rows on `connection`, and says on stderr how far it is.
pub(crate) async fn fill(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let mut progress = Progress::start();
    let ids: Vec<u64> = (1..=PRODUCTS).collect();
    for chunk in ids.chunks(ROWS) {
        let rows: Vec<Row> = chunk.iter().map(|id| row(*id)).collect();
        insert(connection, &rows).await?;
        progress.at(chunk.last().copied().unwrap_or(0));
    }
    sqlx::raw_sql(REVIEWS).execute(connection).await?;
    eprintln!("seeded the catalogue: {PRODUCTS} products in {} categories, with stock and reviews", CATEGORIES.len());
    Ok(())
}

/// None to eight reviews a product, made where they are stored.
const REVIEWS: &str = "
INSERT INTO reviews (product_id, rating, text)
WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 7)
SELECT p.id, 1 + (p.id * 31 + n.n * 17 + (p.id % 11) * n.n) % 5, 'Bought for ' || p.category || ', would ' || CASE n.n % 3 WHEN 0 THEN 'not ' ELSE '' END || 'buy again.'
FROM products p CROSS JOIN n
WHERE n.n < (p.id * 7) % 9";

async fn insert(connection: &mut SqliteConnection, rows: &[Row]) -> sqlx::Result<()> {
    let mut products =
        QueryBuilder::<Sqlite>::new("INSERT INTO products (id, category, name, description, price_cents, revision) ");
    products.push_values(rows, |mut values, row| {
        values.push_bind(row.id.cast_signed()).push_bind(row.category).push_bind(row.name.as_str());
        values.push_bind(row.description.as_str()).push_bind(row.price_cents.cast_signed()).push_bind(1_i64);
    });
    products.build().execute(&mut *connection).await?;
    let mut stock = QueryBuilder::<Sqlite>::new("INSERT INTO stock (product_id, quantity) ");
    stock.push_values(rows, |mut values, row| {
        values.push_bind(row.id.cast_signed()).push_bind(row.quantity.cast_signed());
    });
    stock.build().execute(connection).await?;
    Ok(())
}

fn row(id: u64) -> Row {
    let mut mixed = Mixed(id);
    let (category, piece) = CATEGORIES[usize::try_from(id - 1).unwrap_or(0) % CATEGORIES.len()];
    let (manner, material) = (mixed.pick(&MANNERS), mixed.pick(&MATERIALS));
    let (second, place) = (mixed.pick(&MATERIALS), mixed.pick(&PLACES));
    let name = format!("{manner} {material} {piece} {id}");
    let (care, other) = (mixed.pick(&MATERIALS), mixed.pick(&PLACES));
    let description = format!(
        "A {} {piece} of {material} with {second} details, made for {place}. Goes well with {care}, ships in recycled cardboard, and \
         comes back for repair as long as we live. Customers also chose it for {other}.",
        manner.to_lowercase()
    );
    let price_cents = 990 + mixed.next() % 500 * 100;
    let quantity = mixed.next() % 200;
    Row { id, category, name, description, price_cents, quantity }
}

/// A sequence that looks random and is the same for the same seed (SplitMix64, Steele and others 2014).
struct Mixed(u64);

/// How far the seeding is: one line that is written over on a terminal, few lines elsewhere.
struct Progress {
    terminal: bool,
    shown: u64,
}

// === impl Mixed ===

impl Mixed {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn pick<'w, const N: usize>(&mut self, words: &'w [&'static str; N]) -> &'w str {
        words[usize::try_from(self.next() % N as u64).unwrap_or(0)]
    }
}

// === impl Progress ===

impl Progress {
    fn start() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: 0 }
    }

    fn at(&mut self, rows: u64) {
        let step = if self.terminal { 1_000 } else { PRODUCTS / 2 };
        if rows >= self.shown + step {
            self.shown = rows;
            let end = if self.terminal { '\r' } else { '\n' };
            eprint!("seeding the catalogue: {rows} of {PRODUCTS} products{end}");
            // A progress line that cannot be written is no reason to stop.
            let _ = std::io::stderr().flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_of_one_number_is_always_the_same() {
        let (first, again) = (row(7), row(7));
        assert_eq!(
            (first.name.as_str(), first.price_cents, first.quantity),
            (again.name.as_str(), again.price_cents, again.quantity)
        );
        assert_eq!(first.category, "carpets");
        assert_ne!(row(8).description, first.description);
    }

    #[test]
    fn categories_are_slugs_and_fill_evenly() {
        assert_eq!(PRODUCTS % CATEGORIES.len() as u64, 0);
        assert!(CATEGORIES.iter().all(|(slug, _)| super::super::model::is_slug(slug)));
    }
}
