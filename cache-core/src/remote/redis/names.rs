//! What the records are called in Redis. All records of one key share a hash tag, so that every script runs on one slot.

use super::slot;
use crate::{
    key::{Key, partition},
    schema::Fingerprint,
    tag::TagId,
    tier::{LeaseEnd, Record},
};

/// No scope is called so, and so no reserved tag.
const FENCE: &str = "@!";

/// The names of one namespace's records.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    namespace: String,
    partitions: u16,
}

/// What a name heard from Redis is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Control(Key),
    Tag(TagId),
    Probe(usize),
    /// Somebody knows that changes went untold.
    Fence,
    /// A scope that nothing in this process has named.
    Nobodys,
}

impl Names {
    pub(crate) fn new(namespace: &str, partitions: u16) -> Self {
        Self { namespace: namespace.to_owned(), partitions }
    }

    /// The facts of a namespace that every node must agree on.
    pub(crate) fn meta(&self) -> String {
        format!("{}:meta", self.namespace)
    }

    pub(crate) fn partitions(&self) -> u16 {
        self.partitions
    }

    pub(crate) fn control(&self, key: &Key) -> String {
        self.keyed('c', &key.wire())
    }

    pub(crate) fn payload(&self, key: &Key, fingerprint: Fingerprint) -> String {
        format!("{}@{fingerprint}", self.keyed('d', &key.wire()))
    }

    /// Which row of a key was put, where rows have versions. Nobody listens to it.
    pub(crate) fn row(&self, key: &Key) -> String {
        self.keyed('r', &key.wire())
    }

    /// Whoever has it loads the key, for those who read it as this type. Nobody listens to it.
    pub(crate) fn lease(&self, key: &Key, fingerprint: Fingerprint) -> String {
        format!("{}@{fingerprint}", self.keyed('l', &key.wire()))
    }

    /// The channel on which a node hears that a lease has ended.
    pub(crate) fn ends(&self, node: &str) -> String {
        format!("{}:w:{node}", self.namespace)
    }

    /// What is said there.
    pub(crate) fn end(&self, key: &Key, end: LeaseEnd) -> String {
        let word = match end {
            LeaseEnd::Filled => '+',
            LeaseEnd::Failed => '!',
            LeaseEnd::GivenUp => '-',
        };
        format!("{word}{}", key.wire())
    }

    /// What was said there, if `channel` is one of these.
    pub(crate) fn ended(&self, channel: &str, said: &str) -> Option<(Key, LeaseEnd)> {
        channel.strip_prefix(&self.namespace)?.strip_prefix(":w:")?;
        let mut rest = said.chars();
        let end = match rest.next()? {
            '+' => LeaseEnd::Filled,
            '!' => LeaseEnd::Failed,
            '-' => LeaseEnd::GivenUp,
            _ => return None,
        };
        Some((Key::parse(rest.as_str())?, end))
    }

    pub(crate) fn tag(&self, tag: &TagId) -> String {
        self.keyed('t', &tag.wire())
    }

    pub(crate) fn record(&self, record: &Record) -> String {
        match record {
            Record::Control(key) => self.control(key),
            Record::Tag(tag) => self.tag(tag),
            Record::Journal(partition) => self.marks(*partition),
        }
    }

    /// A record of a partition's journal: `j` the entries, `s` the state, `k` what is kept to be tried again, `x` the dead letters.
    pub(crate) fn journal(&self, kind: char, partition: u16, journal: &str) -> String {
        format!("{ns}:{kind}:{{{ns}.{partition}}}:{journal}", ns = self.namespace)
    }

    /// Where readers find which keys of a partition have changes that are not flushed.
    pub(crate) fn marks(&self, partition: u16) -> String {
        format!("{ns}:m:{{{ns}.{partition}}}", ns = self.namespace)
    }

    /// The mark that the namespace was healed after an incident; it shares a slot with the namespace's own record.
    pub(crate) fn mark(&self, incident: u64) -> String {
        let partition = TagId::Namespace.partition(self.partitions);
        format!("{ns}:h:{{{ns}.{partition}}}:{incident:016x}", ns = self.namespace)
    }

    /// The record that is written when changes may have gone untold, for everybody to hear who listens to that primary. In a
    /// cluster it is in a slot of the primary's.
    pub(crate) fn fence(&self, slot: Option<u16>) -> String {
        slot.map_or_else(
            || self.keyed('t', FENCE),
            |slot| format!("{}:t:{{{}}}:{FENCE}", self.namespace, slot::tag_of(slot)),
        )
    }

    /// A record of a node's beat. In a cluster it is in a slot of the primary whose beat it is.
    pub(crate) fn probe(&self, node: &str, slot: Option<u16>, index: usize) -> String {
        let tag = slot.map_or_else(String::new, |slot| format!("{{{}}}:", slot::tag_of(slot)));
        format!("{}:p:{node}:{tag}{index}", self.namespace)
    }

    /// The slot of a partition's records, in a cluster.
    pub(crate) fn slot_of(&self, partition: u16) -> u16 {
        slot::of(&format!("{{{}.{partition}}}", self.namespace))
    }

    fn keyed(&self, kind: char, text: &str) -> String {
        let partition = partition(text.as_bytes(), self.partitions);
        format!("{ns}:{kind}:{{{ns}.{partition}}}:{text}", ns = self.namespace)
    }

    /// What the names of all records begin with that a node has to hear of, for tracking by prefix.
    pub(crate) fn prefixes(&self, node: &str) -> [String; 3] {
        let Self { namespace, .. } = self;
        [format!("{namespace}:c:"), format!("{namespace}:t:"), format!("{namespace}:p:{node}:")]
    }

    /// The patterns that a node listens to. A namespace has no character that a pattern would take for its own.
    pub(crate) fn patterns(&self, database: i64) -> [String; 2] {
        ["c", "t"].map(|kind| format!("__keyspace@{database}__:{}:{kind}:*", self.namespace))
    }

    /// The channels that a node hears its own beat on: single ones, since a user may listen to a pattern only if the ACL names
    /// that very pattern.
    pub(crate) fn echoes(&self, database: i64, node: &str, probes: usize) -> Vec<String> {
        (0..probes).map(|index| format!("__keyspace@{database}__:{}", self.probe(node, None, index))).collect()
    }

    /// The pattern of those channels, where their names have a slot in them that may change.
    pub(crate) fn echoes_anywhere(&self, node: &str) -> String {
        format!("__keyspace@0__:{}:p:{node}:*", self.namespace)
    }

    /// The pattern of all channels that nodes hear their beats on, for an ACL.
    pub(crate) fn probes(&self, database: i64) -> String {
        format!("__keyspace@{database}__:{}:p:*", self.namespace)
    }

    /// The channel on which a server says what expired, of whomever.
    pub(crate) fn expired_events(database: i64) -> String {
        format!("__keyevent@{database}__:expired")
    }

    /// The key and the type, if the record called `name` is a payload of ours.
    pub(crate) fn payload_of<'a>(&self, name: &'a str) -> Option<(Key, &'a str)> {
        let rest = name.strip_prefix(self.namespace.as_str())?.strip_prefix(":d:{")?;
        let (text, fingerprint) = rest.split_once("}:")?.1.rsplit_once('@')?;
        Key::parse(text).map(|key| (key, fingerprint))
    }

    /// What the record called `name` belongs to, if it is one of ours.
    pub(crate) fn heard(&self, name: &str) -> Option<Heard> {
        let rest = name.strip_prefix(self.namespace.as_str())?.strip_prefix(':')?;
        let (kind, rest) = rest.split_once(':')?;
        if kind == "p" {
            return rest.rsplit_once(':')?.1.parse().ok().map(Heard::Probe);
        }
        let text = rest.strip_prefix('{')?.split_once("}:")?.1;
        match kind {
            "c" => Key::parse(text).map(Heard::Control),
            "t" if text == FENCE => Some(Heard::Fence),
            "t" if text.starts_with('@') => Some(TagId::parse(text).map_or(Heard::Nobodys, Heard::Tag)),
            "t" => TagId::parse(text).map(Heard::Tag),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heard_is_the_inverse_of_the_names() {
        let names = Names::new("shop", 256);
        let key = Key::new("product").arg(7_u64).arg("a:b{c}*");
        assert_eq!(names.heard(&names.control(&key)), Some(Heard::Control(key.clone())));
        let tag = TagId::Tag(Key::new("category").arg("books & more"));
        assert_eq!(names.heard(&names.tag(&tag)), Some(Heard::Tag(tag)));
        assert_eq!(names.heard(&names.tag(&TagId::Namespace)), Some(Heard::Tag(TagId::Namespace)));
        assert_eq!(names.heard(&names.probe("n1", None, 3)), Some(Heard::Probe(3)));
        assert_eq!(names.heard(&names.probe("n1", Some(77), 3)), Some(Heard::Probe(3)));
        assert_eq!(names.heard(&names.fence(None)), Some(Heard::Fence));
        let payload = format!("{}@0123", names.keyed('d', &key.wire()));
        assert_eq!(names.payload_of(&payload), Some((key.clone(), "0123")));
        assert_eq!(names.payload_of(&names.control(&key)), None);
        assert_eq!(names.heard(&names.fence(Some(77))), Some(Heard::Fence));
    }

    #[test]
    fn heard_of_what_is_not_ours_is_nothing() {
        let names = Names::new("shop", 256);
        for name in ["", "shop", "shop:c", "shopping:c:{shopping.1}:a:1", "shop:x:{shop.1}:a:1", "shop:c:no-tag:1"] {
            assert_eq!(names.heard(name), None, "{name}");
        }
    }

    #[test]
    fn slots_of_partitions_and_probes_are_those_of_their_names() {
        let names = Names::new("shop", 256);
        let key = Key::new("product").arg(7_u64);
        assert_eq!(names.slot_of(key.partition(256)), slot::of(&names.control(&key)));
        let namespace = TagId::Namespace.partition(256);
        assert_eq!(names.slot_of(namespace), slot::of(&names.tag(&TagId::Namespace)));
        assert_eq!(names.slot_of(namespace), slot::of(&names.mark(7)), "a script has both");
        assert_eq!(slot::of(&names.probe("n1", Some(77), 3)), 77);
        assert_eq!(slot::of(&names.fence(Some(77))), 77);
    }

    #[test]
    fn records_of_one_key_share_a_slot() {
        let names = Names::new("shop", 256);
        let key = Key::new("product").arg(7_u64);
        let slot = |name: String| name.split_once('{').unwrap().1.split_once('}').unwrap().0.to_owned();
        let payload = format!("{}@x", names.keyed('d', &key.wire()));
        assert_eq!(slot(names.control(&key)), slot(payload));
    }
}
