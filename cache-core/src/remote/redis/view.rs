//! What one node of a cluster says of all of them: the answer to `CLUSTER NODES`
//! (<https://redis.io/docs/latest/commands/cluster-nodes/>).

/// What a node says, of itself and of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) primaries: Vec<Primary>,
}

/// A primary, as some node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Primary {
    /// Its name in the cluster.
    id: String,
    /// Empty where the node does not know its own.
    pub(crate) ip: String,
    /// What it wants to be called, if it said so: what its certificate names.
    pub(crate) hostname: Option<String>,
    pub(crate) port: u16,
    /// It says so of itself.
    pub(crate) is_self: bool,
    /// Its configuration epoch: of two that claim a slot, the higher one is right.
    pub(crate) epoch: u64,
    /// Ranges of slots, both ends included.
    slots: Vec<(u16, u16)>,
    /// Slots on their way from here, or to here, and the names of those at the other end.
    moving: Vec<(u16, String)>,
}

impl Primary {
    /// Whether this is what `host:port` leads to.
    pub(crate) fn is_at(&self, host: &str, port: u16) -> bool {
        self.port == port && (self.ip == host || self.hostname.as_deref() == Some(host))
    }

    pub(crate) fn owns(&self, slot: u16) -> bool {
        self.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    }

    /// Whether it owns the slot, which is not on its way anywhere.
    pub(crate) fn keeps(&self, slot: u16) -> bool {
        self.owns(slot) && self.moves(slot).is_none()
    }

    /// The slot that it will own longest, as far as one can tell: slots are moved in ascending order.
    pub(crate) fn slot_to_stay(&self) -> Option<u16> {
        let descending = || self.slots.iter().rev().flat_map(|(first, last)| (*first..=*last).rev());
        descending().find(|slot| self.moves(*slot).is_none()).or_else(|| descending().next())
    }

    /// Whether a slot is on its way from here or to here.
    fn moves(&self, slot: u16) -> Option<&str> {
        self.moving.iter().find(|(moving, _)| *moving == slot).map(|(_, id)| id.as_str())
    }

    /// Whether it has anything to do with any slot.
    fn has_slots(&self) -> bool {
        !self.slots.is_empty() || !self.moving.is_empty()
    }
}

impl View {
    /// Reads the answer. Lines that cannot be read are left out: a node in handshake has no address yet.
    pub(crate) fn parse(text: &str) -> Self {
        Self {
            primaries: text
                .lines()
                .filter_map(primary)
                .filter(|primary| primary.has_slots() || primary.is_self)
                .collect(),
        }
    }

    /// The node that says all this, if it is a primary.
    pub(crate) fn own(&self) -> Option<&Primary> {
        self.primaries.iter().find(|primary| primary.is_self)
    }

    /// Every primary that may take a write to the slot: those that own it, and those at both ends where it moves.
    pub(crate) fn guardians(&self, slot: u16) -> impl Iterator<Item = &Primary> {
        let ends: Vec<&str> = self.primaries.iter().filter_map(|primary| primary.moves(slot)).collect();
        self.primaries.iter().filter(move |primary| {
            primary.owns(slot) || primary.moves(slot).is_some() || ends.contains(&primary.id.as_str())
        })
    }
}

/// One line, of a node that is a primary.
fn primary(line: &str) -> Option<Primary> {
    let mut words = line.split_ascii_whitespace();
    let (id, address, flags) = (words.next()?, words.next()?, words.next()?);
    let (_primary, _ping, _pong, epoch, _link) =
        (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let mut flags = flags.split(',');
    if !flags.clone().any(|flag| flag == "master") || flags.clone().any(|flag| flag == "noaddr") {
        return None;
    }
    let (ip, port, hostname) = parts_of(address)?;
    let mut read = Primary {
        id: id.to_owned(),
        ip,
        hostname,
        port,
        is_self: flags.any(|flag| flag == "myself"),
        epoch: epoch.parse().ok()?,
        slots: Vec::new(),
        moving: Vec::new(),
    };
    for word in words {
        if let Some(moving) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
            let (slot, other) = moving.split_once("->-").or_else(|| moving.split_once("-<-"))?;
            read.moving.push((slot.parse().ok()?, other.to_owned()));
        } else {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            read.slots.push((first.parse().ok()?, last.parse().ok()?));
        }
    }
    Some(read)
}

/// `127.0.0.1:7000@17000,hostname`.
fn parts_of(address: &str) -> Option<(String, u16, Option<String>)> {
    let (address, hostname) = match address.split_once(',') {
        Some((address, rest)) => (address, rest.split(',').next().filter(|name| !name.is_empty())),
        None => (address, None),
    };
    let (ip, port) = address.split_once('@').map_or(address, |(address, _)| address).rsplit_once(':')?;
    Some((ip.to_owned(), port.parse().ok()?, hostname.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: &str = "\
07c37d 127.0.0.1:30004@31004,hostname4 slave e7d1ee 0 1426238317239 4 connected
67ed2d 127.0.0.1:30002@31002 master - 0 1426238316232 2 connected 5461-10922
292f8b 127.0.0.1:30003@31003,shop-3 master,fail - 0 1426238318243 3 connected 10923-16383
6ec239 127.0.0.1:30005@31005 master - 0 1426238316232 5 connected
e7d1ee 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0 2-5460 [93-<-292f8b] [77->-6ec239]
aaaaaa :0@0 master,noaddr - 0 0 0 disconnected
half a line
";

    #[test]
    fn parse_reads_primaries_and_their_slots() {
        let view = View::parse(NODES);
        assert_eq!(view.primaries.len(), 3, "{view:?}");
        let own = view.own().unwrap();
        assert_eq!((own.ip.as_str(), own.port, own.epoch, own.slot_to_stay()), ("127.0.0.1", 30_001, 1, Some(5460)));
        assert!(own.owns(0) && !own.owns(1) && own.owns(5460));
        assert_eq!(view.primaries[1].hostname.as_deref(), Some("shop-3"));
    }

    #[test]
    fn slot_to_stay_is_the_last_that_does_not_move() {
        let of = |slots: &str| {
            let view = View::parse(&format!("a 127.0.0.1:1@2 myself,master - 0 0 1 connected {slots}"));
            let own = view.own().unwrap();
            (own.slot_to_stay(), own.keeps(9))
        };
        assert_eq!(of("3 7-9"), (Some(9), true));
        assert_eq!(of("3 7-9 [9->-b] [8->-b]"), (Some(7), false));
        assert_eq!(of("9 [9->-b]"), (Some(9), false), "there is no other");
        assert_eq!(of(""), (None, false));
    }

    #[test]
    fn guardians_are_owners_and_both_ends_of_a_move() {
        let mut text = NODES.replace("6ec239 127.0.0.1:30005@31005 master - 0 1426238316232 5 connected", "");
        text.push_str("6ec239 127.0.0.1:30005@31005 master - 0 0 5 connected 1\n");
        let view = View::parse(&text);
        let ports = |slot| view.guardians(slot).map(|primary| primary.port).collect::<Vec<_>>();
        assert_eq!(ports(3), [30_001]);
        assert_eq!(ports(93), [30_003, 30_001], "on its way to here");
        assert_eq!(ports(77), [30_001, 30_005], "on its way from here");
        assert_eq!(ports(6_000), [30_002]);
    }

    #[test]
    fn parse_survives_anything() {
        for text in ["", "\n\n", "a", "a b c d e f g h i", "x 1.2.3.4:99999@1 master - 0 0 1 connected 5-x"] {
            assert!(View::parse(text).primaries.is_empty(), "{text:?}");
        }
    }
}
