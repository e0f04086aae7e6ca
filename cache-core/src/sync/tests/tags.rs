//! Tags against hits and loads: those that are known before a load, and those that only its result can name.

use std::{convert::Infallible, sync::Arc};

use shuttle::future::block_on;

use super::{by_chance, explore, join, node::Node, once, some};
use crate::{
    cache::{Call, Place, Rules},
    key::Key,
    policy::Overrides,
    tag::TagId,
    tier::{ChangeListener, Record},
    value::ValueOps,
};

fn article() -> Key {
    Key::new("article").arg(7_u64)
}

fn books() -> Key {
    Key::new("category").arg("books")
}

/// Reads a value under a tag, or not.
fn warm(node: &Node) {
    while by_chance() {
        node.read(&article(), Some(&books()));
    }
}

fn reader(node: &Arc<Node>) -> shuttle::thread::JoinHandle<()> {
    let node = Arc::clone(node);
    some(3, move || node.read(&article(), Some(&books())))
}

#[test]
fn evict_of_a_tag_is_seen_by_whoever_reads_after_it() {
    explore(|| {
        let node = Node::alone();
        warm(&node);
        let evicts = {
            let node = Arc::clone(&node);
            some(2, move || {
                let changed = node.origin.change();
                assert!(block_on(node.cache.evict_tag(books())).is_applied());
                node.origin.told(changed);
            })
        };
        join([evicts, reader(&node), reader(&node)]);
        node.read(&article(), Some(&books()));
    });
}

#[test]
fn hint_on_a_tag_is_seen_by_whoever_reads_after_it() {
    explore(|| {
        let node = Node::with_server();
        warm(&node);
        let changes = {
            let node = Arc::clone(&node);
            some(2, move || {
                let changed = node.origin.change();
                node.server.bump(Record::Tag(TagId::Tag(books())));
                node.hearing.tag_changed(&TagId::Tag(books()));
                node.origin.told(changed);
            })
        };
        join([changes, reader(&node), reader(&node)]);
        node.read(&article(), Some(&books()));
    });
}

#[test]
fn fence_reaches_what_cells_know() {
    explore(|| {
        let node = Node::with_server();
        warm(&node);
        let beats = {
            let node = Arc::clone(&node);
            once(move || node.miss(Record::Tag(TagId::Tag(books()))))
        };
        join([beats, reader(&node), reader(&node)]);
        node.read(&article(), Some(&books()));
    });
}

/// A call whose value names its tag.
fn read_and_name(node: &Node) {
    let call = Box::new(Call {
        key: Key::new("review").arg(7_u64),
        tags: Vec::new(),
        shape_tags: Vec::new(),
        place: Place::new("review", file!(), line!()),
        ops: ValueOps::of(),
        none: false,
        overrides: Overrides::default(),
        newer_than: 0,
        rev: 0,
        rules: Rules { result_tags: Some(Arc::new(|_| vec![books()])), ..Rules::default() },
    });
    node.origin.ask(|| {
        let load = async { Ok::<_, Infallible>(Some(node.origin.load())) };
        let Ok(value) = block_on(async {
            match node.cache.0.hit(&call.key, |_, value: &Option<u64>| *value) {
                Some(value) => Ok(Some(value)),
                None => node.cache.load_inline(call, load).await.0,
            }
        });
        value.unwrap()
    });
}

#[test]
fn evict_of_a_tag_that_only_the_result_names_is_seen_by_whoever_reads_after_it() {
    explore(|| {
        let node = Node::alone();
        let evicts = {
            let node = Arc::clone(&node);
            some(2, move || {
                let changed = node.origin.change();
                assert!(block_on(node.cache.evict_tag(books())).is_applied());
                node.origin.told(changed);
            })
        };
        let reader = || {
            let node = Arc::clone(&node);
            some(2, move || read_and_name(&node))
        };
        join([evicts, reader(), reader(), reader()]);
        read_and_name(&node);
    });
}

/// Few steps: an eviction of a tag comes while a load that depends on it, by declaration or by its result, is under way.
#[test]
fn evict_of_a_tag_parts_the_load_under_way_from_who_comes_after_it() {
    explore(|| {
        let (node, is_named) = (Node::alone(), by_chance());
        let read: fn(&Node) = if is_named { read_and_name } else { |node| node.read(&article(), Some(&books())) };
        let evicts = {
            let node = Arc::clone(&node);
            once(move || {
                let changed = node.origin.change();
                assert!(block_on(node.cache.evict_tag(books())).is_applied());
                node.origin.told(changed);
            })
        };
        let loads = {
            let node = Arc::clone(&node);
            once(move || read(&node))
        };
        let joins = {
            let node = Arc::clone(&node);
            some(1, move || read(&node))
        };
        join([evicts, loads, joins]);
        read(&node);
    });
}
