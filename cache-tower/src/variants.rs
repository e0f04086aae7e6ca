//! Which variants of a URL this process has stored: a new one may turn out to be one of them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use cache_core::Key;

/// URLs of which variants are remembered.
const URLS: usize = 1 << 12;
/// Variants of each: more are not asked about.
const EACH: usize = 8;

/// The variants of one layer's URLs.
#[derive(Debug, Default)]
pub(crate) struct Variants(Mutex<HashMap<u128, Vec<Key>>>);

impl Variants {
    /// A variant was stored under `key`, of the URL whose answers have `url`.
    pub(crate) fn add(&self, url: u128, key: &Key) {
        let mut urls = self.lock();
        if !urls.contains_key(&url) && urls.len() >= URLS {
            // Whichever: it is known again when one of its variants is stored again.
            let any = urls.keys().next().copied();
            any.and_then(|any| urls.remove(&any));
        }
        let keys = urls.entry(url).or_default();
        if !keys.contains(key) {
            keys.truncate(EACH - 1);
            keys.insert(0, key.clone());
        }
    }

    /// The keys of the variants, the last one first.
    pub(crate) fn of(&self, url: u128) -> Vec<Key> {
        self.lock().get(&url).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, Vec<Key>>> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_few_of_each_url_are_remembered_and_no_more() {
        let variants = Variants::default();
        for number in 0..20_u64 {
            variants.add(7, &Key::new("v").arg(number));
            variants.add(7, &Key::new("v").arg(number));
        }
        let kept: Vec<Key> = (12..20_u64).rev().map(|number| Key::new("v").arg(number)).collect();
        assert_eq!(variants.of(7), kept);
        assert!(variants.of(8).is_empty());
        for url in 0..2 * URLS as u128 {
            variants.add(url, &Key::new("v"));
        }
        assert_eq!(variants.lock().len(), URLS);
    }
}
