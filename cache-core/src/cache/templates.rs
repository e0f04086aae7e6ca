//! Tags belong to the key's template: every site that stores under one template declares the same tags.
//!
//! Otherwise `put` would store an entry that `evict_tag` does not reach, because another site's `cacheable` names the tag
//! and it does not. The first site of a template says which tags it has; one that differs stores nothing and evicts instead
//! of putting.

use std::{
    collections::{HashMap, HashSet},
    sync::{LazyLock, Mutex, PoisonError},
};

use super::call::Place;

/// More templates than a program has; beyond, nobody is compared.
const TEMPLATES: usize = 1 << 16;

struct Declared {
    tags: Vec<u64>,
    place: Place,
}

#[derive(Default)]
struct Registry {
    declared: HashMap<u64, Declared>,
    reported: HashSet<(u64, Place)>,
}

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);

/// Whether the site at `place` declares the tags that the template has. Reports a site that does not, once, naming both.
pub(super) fn agrees(scope: &str, shape: u64, tags: &[u64], place: Place) -> bool {
    // A key read back from text has no template.
    if shape == 0 {
        return true;
    }
    let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(first) = registry.declared.get(&shape) else {
        if registry.declared.len() < TEMPLATES {
            registry.declared.insert(shape, Declared { tags: tags.to_vec(), place });
        }
        return true;
    };
    if first.tags == tags {
        return true;
    }
    let (first, ours, theirs) = (first.place, tags.len(), first.tags.len());
    if registry.reported.len() < TEMPLATES && registry.reported.insert((shape, place)) {
        tracing::error!(
            "{place} stores under the key template of {first} (scope `{scope}`) but declares other tags ({ours} here, {theirs} \
             there): it stores nothing, and evicts where it would put; declare the same tags at both places"
        );
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_site_of_a_template_decides() {
        let (a, b) = (Place::new("find", "a.rs", 1), Place::new("save", "b.rs", 2));
        assert!(agrees("product", 0xA1, &[1, 2], a));
        assert!(agrees("product", 0xA1, &[1, 2], b));
        assert!(!agrees("product", 0xA1, &[1], b));
        assert!(agrees("product", 0xA2, &[1], b));
        assert!(agrees("product", 0, &[], b), "a key without a template is not compared");
    }
}
