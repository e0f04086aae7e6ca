//! Hash slots of a cluster: which one a key is in, and a hash tag for any of them
//! (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model>).

use std::sync::LazyLock;

/// Slots of every cluster.
pub(crate) const SLOTS: u16 = 16_384;

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 },
        )
    })
}

/// The slot of a key, by its hash tag if it has one.
pub(crate) fn of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    crc16(tag.filter(|tag| !tag.is_empty()).unwrap_or(key).as_bytes()) % SLOTS
}

/// A hash tag of the slot.
pub(crate) fn tag_of(slot: u16) -> String {
    static TAGS: LazyLock<Box<[u32]>> = LazyLock::new(|| {
        let mut tags = vec![None; usize::from(SLOTS)];
        let mut left = tags.len();
        for number in 0_u32.. {
            let tag = &mut tags[usize::from(crc16(number.to_string().as_bytes()) % SLOTS)];
            if tag.is_none() {
                *tag = Some(number);
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
        tags.into_iter().flatten().collect()
    });
    TAGS[usize::from(slot)].to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(of("foo"), 12_182);
        assert_eq!(of("{user1000}.following"), of("{user1000}.followers"));
        assert_eq!(of("foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS, "an empty tag is none");
        assert_eq!(of("foo{{bar}}zap"), crc16(b"{bar") % SLOTS);
    }

    #[test]
    fn every_slot_has_a_tag() {
        for slot in 0..SLOTS {
            assert_eq!(of(&format!("shop:p:{{{}}}:1", tag_of(slot))), slot);
        }
    }
}
