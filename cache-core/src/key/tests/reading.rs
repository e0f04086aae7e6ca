//! `Key::parse` reads what a key prints, and nothing else.

use proptest::prelude::*;

use super::samples::{cases, shape, text, value};
use crate::key::Key;

/// Either the text is no key's, or it is the text of the key that was read.
fn is_read_strictly(wire: &str) -> Result<(), TestCaseError> {
    if let Some(key) = Key::parse(wire) {
        prop_assert_eq!(key.wire(), wire);
        prop_assert_eq!(key.shape(), 0);
    }
    Ok(())
}

#[test]
fn parse_text_that_no_key_prints_gives_none() {
    let long = format!("k:{}~0123456789abcdef0123456789abcdef", "a".repeat(118));
    assert!(Key::parse(&long).is_some());
    let texts = [
        "",
        ":",
        "k:",
        ":k",
        "k::k",
        "k: ",
        "k:a b",
        "k:é",
        "k:%",
        "k:%2",
        "k:%2g",
        "k:%3a",
        "k:%41",
        "k:%FF",
        "k:%C3",
        "k:'a",
        "k:''",
        "k:a'b",
        "k:'007",
        "k:@a",
        "k:*",
        "k:{a}",
        "k:()",
        "k:(a)",
        "k:((-),",
        "k:(a,b",
        "k:(a,b,)",
        "k:(,)",
        "k:(a,,b)",
        "k:(a,b)c",
        "k:a,b",
        "k:<a",
        "k:<a,>",
        "k:<,>",
        "k:a>",
        "k:.A()",
        "k:.A(a",
        "k:.A(a,)",
        "k:.A(a)b",
        "k:'.A%",
        "k:(01a,@)",
        "k:('a,b)",
        "k:(%2C,%41)",
        "k:a~b",
        "k~0123456789abcdef0123456789abcdef",
    ];
    let texts = texts.iter().map(|text| (*text).to_owned()).chain([
        long.to_uppercase(),
        long.replace("k:aaaa", "k:"),
        long.replace("k:a", "k::"),
        long.replace("aa~", "%2~"),
        long.replace("aa~", "{a~"),
        long.replace("aa~", "%61~"),
        format!("{long}0"),
        format!("{long}~0123456789abcdef0123456789abcdef"),
        format!("k:{}", "a".repeat(199)),
        "(".repeat(200),
        "(".repeat(1_000_000),
    ]);
    for text in texts {
        assert!(Key::parse(&text).is_none(), "{text}");
    }
}

#[test]
fn parse_text_that_a_key_prints_gives_that_key() {
    for wire in ["k", "k:'", "k:.", "k:..a", "k:.A%28", "k:''x"] {
        let read = Key::parse(wire).map(|key| key.wire());
        assert_eq!(read.as_deref(), Some(wire).filter(|wire| *wire != "k:''x"));
    }
    let (text, many) = ("a".repeat(198), "é".repeat(100));
    assert_eq!(Key::new("k").arg(&text).wire(), format!("k:{text}"));
    assert_eq!(Key::parse(&format!("k:{text}")), Some(Key::new("k").arg(&text)));
    // `k:` and escapes of three bytes: 120 would split the last.

    let long = Key::new("k").arg(&many);
    assert_eq!(long.wire().split_once('~').map(|(head, digest)| (head.len(), digest.len())), Some((119, 32)));
    assert_eq!(Key::parse(&long.wire()), Some(long));
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn parse_never_panics_and_is_strict(wire in any::<String>(), tail in "[a-z0-9:%'~(),.<>@A-F-]{0,40}") {
        is_read_strictly(&wire)?;
        is_read_strictly(&tail)?;
        is_read_strictly(&format!("k:{tail}"))?;
        is_read_strictly(&format!("k:({tail})"))?;
        is_read_strictly(&format!("k:{}{tail}", "a".repeat(100)))?;
    }

    #[test]
    fn parse_of_a_text_with_a_mistake_is_strict(
        value in shape().prop_flat_map(|shape| value(&shape)),
        at in any::<prop::sample::Index>(),
        put in text(),
        gone in 0..3_usize,
    ) {
        let wire = Key::new("k").arg(value).wire();
        let at = at.index(wire.len() + 1);
        let end = (at + gone).min(wire.len());
        is_read_strictly(&format!("{}{put}{}", &wire[..at], &wire[end..]))?;
        is_read_strictly(&wire[..at])?;
        is_read_strictly(&wire[at..])?;
    }
}
