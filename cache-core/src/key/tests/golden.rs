//! The table in `docs/keys.md` says what these arguments print. It holds for ever: keys stand in Redis while old and new
//! binaries run side by side.

use std::collections::BTreeMap;
use std::num::NonZero;

use super::samples::{Id, Page, Size, Unit};
use crate::key::Key;

/// Keys with the expressions that make them, as they stand in the table.
macro_rules! rows {
    ($($part:expr;)+) => { vec![$((stringify!($part), Key::new("k").arg($part))),+] };
}

fn rows() -> Vec<(&'static str, Key)> {
    let mut rows = rows![
        7_u8; 7_u64; 0; -7; u64::MAX; i64::MIN; u128::MAX; i128::MIN; NonZero::<u16>::MAX; true; false;
        "books"; String::from("books"); 'b'; "Books & more"; "bob@example.org"; "2024-05-01"; "a/b.c_d-e+f=g;h!i#j$k&l";
        ""; "7"; "-7"; "007"; "-0"; "+7"; "1e3"; "340282366920938463463374607431768211456"; "true"; "True"; "-"; "--";
        ".Small"; "@home"; "a:b"; "{7}*?[x]"; "100%"; "it's"; "a\\b"; "(a,b)"; "<a>"; "~"; "a\0b"; "tab\t"; "\u{7f}"; "é"; "😀";
        None::<u64>; Some(7); Some("7"); Some(""); Some(None::<u64>); Some(Some(None::<u64>)); (); Unit; Some(());
        (1, "a"); ("a", "b:c"); ("a:b", "c"); (1,); (None::<u64>,); ((1, 2), 3); (1, 2, 3); ("7", 7, true, "true");
        [1, 2]; [7]; [0_u8; 0]; vec!["a", "b,c"]; [Some(1), None]; [[1], [2]];
        Id(7); Page { number: 2, size: 50 }; Size::Small; Size::Boxed(2, 3); Size::Named { tag: "x" }; Some(Size::Small);
        "a".repeat(198); "a".repeat(199); "é".repeat(40); ["long"; 60];
    ];
    if cfg!(feature = "uuid") {
        rows.extend(uuid_row());
    }
    rows
}

#[cfg(feature = "uuid")]
fn uuid_row() -> Option<(&'static str, Key)> {
    rows![uuid::Uuid::from_u128(7);].pop()
}

#[cfg(not(feature = "uuid"))]
fn uuid_row() -> Option<(&'static str, Key)> {
    None
}

/// The table: argument, and what it prints with its partition of 256.
fn table() -> BTreeMap<String, (String, u16)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/keys.md");
    let text = std::fs::read_to_string(path).expect("the table stands in docs/keys.md");
    let rows = text.lines().filter_map(|line| {
        let [argument, wire, partition] =
            line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ").collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let wire = wire.strip_prefix('`')?.strip_suffix('`')?;
        Some((unspaced(argument.strip_suffix('`')?), (wire.to_owned(), partition.parse().ok()?)))
    });
    rows.collect()
}

/// Without spaces: `stringify!` sets its own.
fn unspaced(expression: &str) -> String {
    expression.replace(' ', "")
}

#[test]
fn table_and_code_agree() {
    let table = table();
    let mut missing = Vec::new();
    for (argument, key) in rows() {
        let printed = (key.wire(), key.partition(256));
        if table.get(&unspaced(argument)) != Some(&printed) {
            missing.push(format!("| `{argument}` | `{}` | {} |", printed.0, printed.1));
        }
        assert_eq!(Key::parse(&key.wire()), Some(key));
    }
    assert!(missing.is_empty(), "docs/keys.md says otherwise:\n{}", missing.join("\n"));
    let without = usize::from(!cfg!(feature = "uuid"));
    assert_eq!(table.len(), rows().len() + without, "a row of docs/keys.md is not tested");
    assert!(table.len() >= 40);
}

#[test]
fn hash_of_the_envelope_is_the_same_for_ever() {
    assert_eq!(Key::new("product").arg(7).wire_hash(), 282_008_227_493_559_709_796_662_678_419_733_582_271);
}
