//! What is alike, heads, scopes, shapes, long keys, and what a careless `KeyPart` does.

use std::borrow::Cow;
use std::collections::HashSet;
use std::num::NonZero;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;

use super::samples::{Id, Unit};
use crate::key::{KeptPart, Key, KeyHead, KeyPart, KeyWriter, ScopeId};

fn of(part: impl KeyPart) -> Key {
    Key::new("k").arg(part)
}

#[test]
fn integers_of_one_value_are_alike() {
    let keys = [
        of(7_u8),
        of(7_u16),
        of(7_u32),
        of(7_u64),
        of(7_u128),
        of(7_usize),
        of(7_i8),
        of(7_i16),
        of(7_i32),
        of(7_i64),
        of(7_i128),
        of(7_isize),
        of(NonZero::new(7_u8)),
        of(NonZero::new(7_i128)),
        of(Id(7)),
        of(Some(7)),
        of(Box::new(7)),
        of(Rc::new(7)),
        of(Arc::new(7)),
        of(KeptPart::of(&7)),
        of(Some(Some(&&7))),
    ];
    assert!(keys.iter().all(|key| *key == keys[0] && key.local_hash() == keys[0].local_hash() && key.wire() == "k:7"));
    assert_eq!(of(u64::MAX), of(i128::from(u64::MAX)));
    assert_eq!(of(i64::MIN), of(i128::from(i64::MIN)));
    assert_ne!(of(7), of("7"));
}

#[test]
fn strings_of_one_text_are_alike() {
    let (borrowed, number) = (&&"a b", &mut 7);
    assert_eq!(of(borrowed), of("a b"));
    assert_eq!(of(number), of(7));
    let keys = [
        of("a b"),
        of("a b".to_owned()),
        of(Cow::Borrowed("a b")),
        of(Cow::<str>::Owned("a b".into())),
        of(Box::<str>::from("a b")),
        of(Arc::<str>::from("a b")),
        of(Some("a b")),
        of(KeptPart::of("a b")),
    ];
    assert!(keys.iter().all(|key| *key == keys[0] && key.wire() == "k:a%20b"));
    assert_eq!(of('a'), of("a"));
    assert_eq!(of([1, 2]), of(vec![1, 2]));
    assert_eq!(of([1, 2]), of(&[1_u8, 2][..]));
    assert_eq!(of(Cow::Borrowed(&[1, 2][..])), of([1, 2]));
    assert_eq!(of(()), of(Unit));
    assert_eq!(of(()), of(None::<u8>));
}

#[cfg(feature = "uuid")]
#[test]
fn uuid_is_its_hyphenated_text() {
    assert_eq!(of(uuid::Uuid::from_u128(7)), of("00000000-0000-0000-0000-000000000007"));
}

#[test]
fn head_gives_the_keys_that_are_built_by_hand() {
    let head = KeyHead::new("product:{}:stock:{}");
    let built = head.start().arg(&7_u64).literal("stock").arg("de").finish();
    assert_eq!(built, Key::parse("product:7:stock:de").expect("a key prints it"));
    assert_eq!(built, Key::new("product").arg(7).arg("stock").arg("de"));
    assert_eq!((built.scope(), built.shape()), (head.scope(), head.shape()));
    assert_eq!(built.scope().name(), "product");
    // Literals mean what their text reads as; others than `[a-z0-9._-]` are text.
    let odd = KeyHead::new("true:7:-:.a:007:A b:{}").start().arg(&1).finish();
    assert_eq!(odd.wire(), "true:7:-:.a:007:A%20b:1");
    assert_eq!(odd, Key::new("true:7:-:.a:007:A b").arg(1));
    assert_eq!(Key::parse(&odd.wire()), Some(odd));
    let late = KeyHead::new("k:{}:true:9").start().arg(&1).literal("true").literal("9").finish();
    assert_eq!(late, Key::new("k").arg(1).arg(true).arg(9));
    assert_eq!(KeyHead::new("{}").start().arg(&1).finish().wire(), "1");
    assert_eq!(KeyHead::new("k:{}").start().salt(5).finish(), of(5));
}

#[test]
fn head_of_many_words_and_long_arguments_gives_the_same_keys() {
    let head = "a.literal.head.that.needs.more.words.than.a.key.has.room.for:and.some.more";
    for text in [String::new(), "b".repeat(30), "b".repeat(124), "b".repeat(125), "é".repeat(3_000)] {
        let built = KeyHead::new(&format!("{head}:{{}}:{{}}")).start().arg(&text).arg(&1).finish();
        let by_hand = Key::new(head).arg(&text).arg(1);
        assert_eq!(built, by_hand);
        assert_eq!(
            (built.local_hash(), built.shape(), built.scope()),
            (by_hand.local_hash(), by_hand.shape(), by_hand.scope())
        );
        assert_eq!(Key::parse(&built.wire()), Some(built));
    }
}

#[test]
fn long_key_with_one_more_argument_is_the_key_of_all() {
    let long = "b".repeat(300);
    let at_once = KeyHead::new("k:{}:{}").start().arg(&long).arg(&7).finish();
    let one_by_one = of(&long).arg(7);
    assert_eq!(at_once, one_by_one);
    assert_ne!(of(&long), one_by_one);
    // One that was read from text is another, but a sound one.
    let read = Key::parse(&of(&long).wire()).expect("a key prints it").arg(7);
    assert_eq!(Key::parse(&read.wire()), Some(read.clone()));
    assert_ne!(read, one_by_one);
}

#[test]
fn shape_is_the_template_with_its_arguments_left_out() {
    let shape = KeyHead::new("product:{}:stock").shape();
    assert_ne!(shape, 0);
    assert_eq!(KeyHead::new("product:{}").shape(), Key::new("product").arg("x").shape());
    let others =
        ["product", "product:{}", "{}:product:stock", "product:stock:{}", "product:{}:{}", "product:{}:stock:{}", "{}"];
    let shapes: HashSet<u64> = others.iter().map(|template| KeyHead::new(template).shape()).chain([shape]).collect();
    assert_eq!(shapes.len(), others.len() + 1);
    assert_eq!(Key::parse("product:7").map(|key| (key.shape(), key.arg(1).shape())), Some((0, 0)));
}

#[test]
fn scope_is_the_literal_head() {
    let stock = Key::new("scope_test:stock").arg(7).scope();
    assert_eq!(stock.name(), "scope_test:stock");
    assert_eq!(stock.parent().map(ScopeId::name), Some("scope_test"));
    assert_eq!(stock.lineage().map(ScopeId::name).collect::<Vec<_>>(), ["scope_test:stock", "scope_test"]);
    assert_eq!(ScopeId::intern("scope_test:stock"), stock);
    assert_eq!(Key::parse("scope_test:stock:7").map(|key| key.scope()), Some(stock));
    assert_eq!(Key::parse("scope_test:other:7").map(|key| key.scope().name()), Some("scope_test"));
    assert_eq!(Key::parse("scope_test_unheard_of:7").map(|key| key.scope()), Some(ScopeId::ROOT));
    assert_eq!(ScopeId::get("scope_test_unheard_of"), None);
    // What is no literal ends the scope.
    assert_eq!(Key::new("scope_test:Stock:x").scope().name(), "scope_test");
    assert_eq!(Key::new("").scope(), ScopeId::ROOT);
    assert_eq!((ScopeId::ROOT.name(), ScopeId::ROOT.parent(), ScopeId::ROOT.index()), ("", None, 0));
    let no_scopes = ["", ":", "a:", ":a", "a::b", "A", "a b", "a:B", &"a".repeat(65), &["abcdefghi"; 21].join(":")];
    assert!(no_scopes.iter().all(|name| !ScopeId::is_valid(name)));
    assert!(["a", "a:b", "0", "-", "a.b_c-d:9", &"a".repeat(64)].iter().all(|name| ScopeId::is_valid(name)));
}

#[test]
fn head_with_any_text_gives_a_key_that_reads_back() {
    for head in ["", ":", "a::b", "A:b c", "{id}", "@", "'", "é", ".", "-", "-0", "a~b", &"x".repeat(70)] {
        let key = Key::new(head);
        assert_eq!(Key::parse(&key.wire()), Some(key), "{head}");
    }
}

#[test]
fn debug_shows_no_argument() {
    let shown = format!("{:?} {:?}", Key::new("debug_test").arg("secret"), Key::new("debug_test").arg("s".repeat(300)));
    assert!(shown.starts_with("Key(debug_test#") && !shown.contains("secret") && !shown.contains("sss"), "{shown}");
    assert!(!format!("{:?}", Key::parse("debug_test:secret")).contains("secret"));
}

#[test]
fn part_that_writes_none_or_several_counts_as_one() {
    struct Careless(u8);
    impl KeyPart for Careless {
        fn write(&self, out: &mut KeyWriter) {
            (0..self.0).for_each(|number| out.part(&number));
        }
    }
    assert_eq!(of(Careless(0)).arg(9).wire(), "k:-:9");
    assert_eq!(of(Careless(1)).arg(9).wire(), "k:0:9");
    assert_eq!(of(Careless(3)).arg(9).wire(), "k:(0,1,2):9");
    assert_eq!(of((Careless(2), Some(Careless(0)))).wire(), "k:((0,1),(-))");
    assert_eq!(KeyHead::new("k:{}:{}").start().arg(&1).arg(&Careless(2)).finish().wire(), "k:1:(0,1)");
    assert_eq!(of(["b".repeat(100)]).arg(Careless(2)).wire(), format!("k:<{}>:(0,1)", "b".repeat(100)));
    let parsed = Key::parse(&of("b".repeat(300)).wire()).expect("a key prints it").arg(Careless(2));
    assert_eq!(Key::parse(&parsed.wire()), Some(parsed));
}

#[test]
fn local_hash_of_close_keys_is_spread() {
    let (mut low, mut ones) = (HashSet::new(), 0);
    for id in 0..50_000_u64 {
        let (one, next) = (of(id).local_hash(), of(id + 1).local_hash());
        low.insert(one as u64);
        ones += (one ^ next).count_ones();
    }
    assert_eq!(low.len(), 50_000);
    let mean = f64::from(ones) / 50_000.0;
    assert!((63.5..64.5).contains(&mean), "{mean} of 128 bits differ");
}

/// Prints what the test below compares: it runs this one in processes of their own.
#[test]
fn print_keys() {
    for key in [of(7), of("a:b"), of("é".repeat(300)), of((1, Some("x")))] {
        println!("\nkey {} {} {:x} {:x}", key.wire(), key.partition(256), key.wire_hash(), key.shape());
        println!("local {:x}", key.local_hash());
    }
}

#[test]
fn two_processes_agree_on_all_but_the_local_hash() {
    let lines = |with: &str| -> Vec<String> {
        let program = std::env::current_exe().expect("a test runs from a file");
        let name = concat!(module_path!(), "::print_keys");
        let name = name.split_once("::").map_or(name, |(_, name)| name);
        let output = Command::new(program).args(["--exact", name, "--nocapture"]).output().expect("it runs");
        let text = String::from_utf8(output.stdout).expect("a key is ASCII");
        text.lines().filter(|line| line.starts_with(with)).map(str::to_owned).collect()
    };
    let (one, other) = (lines("key "), lines("key "));
    assert_eq!((one.len(), &one), (4, &other));
    assert_ne!(lines("local "), lines("local "));
}
