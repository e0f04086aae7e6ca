//! The guards of L1: stripes and epochs against check-and-insert, the one count of moves against hits in passing, the front
//! against what it is a copy of.

use std::sync::Arc;

use shuttle::{future::block_on, thread};

use super::{by_chance, explore, join, node::Node, once, some};
use crate::{
    cache::{After, Place, WritePlan},
    key::Key,
    tier::{ChangeListener, Record},
    value::ValueOps,
};

fn product(id: u64) -> Key {
    Key::new("product").arg(id)
}

/// Another key that stands on the stripe of `key`.
fn neighbour(node: &Node, key: &Key) -> Key {
    let stamp = || node.coherence.stamp(node.coherence.spot(key));
    let before = stamp();
    let shares = |other: &Key| {
        node.coherence.move_stripe(other.local_hash());
        stamp() != before
    };
    (1_000..2_000).map(product).find(shares).unwrap()
}

/// Reads it, or not, so that L1 has it, or its front too.
fn warm(node: &Node, key: &Key) {
    while by_chance() {
        node.read(key, None);
    }
}

fn reader(node: &Arc<Node>, key: &Key, times: usize) -> thread::JoinHandle<()> {
    let (node, key) = (Arc::clone(node), key.clone());
    some(times, move || node.read(&key, None))
}

#[test]
fn evict_without_a_server_is_seen_by_whoever_reads_after_it() {
    explore(|| {
        let (node, key) = (Node::alone(), product(7));
        let other = neighbour(&node, &key);
        warm(&node, &key);
        let evicts = {
            let (node, key) = (Arc::clone(&node), key.clone());
            some(2, move || {
                let changed = node.origin.change();
                assert!(block_on(node.cache.evict(&key)).is_applied());
                node.origin.told(changed);
            })
        };
        let disturbs = {
            let node = Arc::clone(&node);
            some(1, move || assert!(block_on(node.cache.evict(&other)).is_applied()))
        };
        join([evicts, disturbs, reader(&node, &key, 2), reader(&node, &key, 3)]);
        node.read(&key, None);
    });
}

/// Few steps, for a race of many turns: an eviction has moved the stripe and not removed the entry yet, a doubt is settled,
/// and somebody takes what was read to the front.
#[test]
fn doubt_settled_while_an_evict_is_under_way_brings_nothing_back() {
    explore(|| {
        let (node, key) = (Node::alone(), product(7));
        node.read(&key, None);
        let evicts = {
            let (node, key) = (Arc::clone(&node), key.clone());
            once(move || {
                let changed = node.origin.change();
                assert!(block_on(node.cache.evict(&key)).is_applied());
                node.origin.told(changed);
            })
        };
        let settles = {
            let (node, key) = (Arc::clone(&node), key.clone());
            once(move || node.read(&key, None))
        };
        let glances = {
            let (node, key) = (Arc::clone(&node), key.clone());
            once(move || node.origin.ask(|| node.glance(&key).unwrap_or(u64::MAX)))
        };
        join([evicts, settles, glances]);
        node.read(&key, None);
    });
}

#[test]
fn put_is_seen_by_whoever_reads_after_it() {
    explore(|| {
        let (node, key) = (if by_chance() { Node::alone() } else { Node::with_server() }, product(7));
        warm(&node, &key);
        let puts = |times| {
            let (node, key) = (Arc::clone(&node), key.clone());
            some(times, move || {
                let mut plan = WritePlan::new(Place::new("put", file!(), line!()));
                plan.puts = vec![key.clone()];
                let write = block_on(node.cache.begin_write(plan));
                let changed = node.origin.change();
                assert!(block_on(write.put(ValueOps::of(), Some(changed), After::default())).is_applied());
                node.origin.told(changed);
            })
        };
        join([puts(1), puts(2), reader(&node, &key, 2), reader(&node, &key, 2)]);
        node.read(&key, None);
    });
}

#[test]
fn hint_is_seen_by_whoever_reads_after_it() {
    explore(|| {
        let (node, key) = (Node::with_server(), product(7));
        let other = neighbour(&node, &key);
        warm(&node, &key);
        let changes = {
            let (node, key) = (Arc::clone(&node), key.clone());
            some(2, move || {
                let changed = node.origin.change();
                node.server.bump(Record::Control(key.clone()));
                node.hearing.key_changed(&key);
                node.origin.told(changed);
            })
        };
        let disturbs = {
            let node = Arc::clone(&node);
            some(2, move || node.hearing.key_changed(&other))
        };
        join([changes, disturbs, reader(&node, &key, 3), reader(&node, &key, 3)]);
        node.read(&key, None);
    });
}

/// Few steps: a doubt is there already, and a change comes while it is being settled.
#[test]
fn doubt_is_settled_as_of_before_the_question() {
    explore(|| {
        let (node, key) = (Node::with_server(), product(7));
        node.read(&key, None);
        node.hearing.key_changed(&neighbour(&node, &key));
        let changes = {
            let (node, key) = (Arc::clone(&node), key.clone());
            once(move || {
                let changed = node.origin.change();
                node.server.bump(Record::Control(key.clone()));
                node.hearing.key_changed(&key);
                node.origin.told(changed);
            })
        };
        let reads = [(); 2].map(|()| {
            let (node, key) = (Arc::clone(&node), key.clone());
            once(move || node.read(&key, None))
        });
        join([changes].into_iter().chain(reads));
        node.read(&key, None);
    });
}

#[test]
fn fence_is_seen_by_whoever_sees_the_bound_proved_after_it() {
    explore(|| {
        let (node, key) = (Node::with_server(), product(7));
        warm(&node, &key);
        let beats = {
            let (node, key) = (Arc::clone(&node), key.clone());
            once(move || node.miss(Record::Control(key.clone())))
        };
        join([beats, reader(&node, &key, 3), reader(&node, &key, 3)]);
        node.read(&key, None);
    });
}
