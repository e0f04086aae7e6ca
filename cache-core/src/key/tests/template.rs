//! Arguments are found again by a template, in a key that was built and in one that was read.

use crate::key::{Argument, Key, Template, Unread};

fn text(text: &str) -> Argument {
    Argument::Text(text.to_owned())
}

/// What the key's arguments are, which does not depend on where it comes from.
fn read(template: &str, key: &Key) -> Result<Vec<Argument>, Unread> {
    let template = Template::parse(template).expect("a sound template");
    let built = template.read(key);
    let parsed = Key::parse(&key.wire()).expect("a key prints what it reads");
    assert_eq!(built, template.read(&parsed), "{key:?}");
    built
}

#[test]
fn arguments_are_those_that_were_given() {
    let key = Key::new("price:list").arg(42_u64).arg(-7_i8).arg("a:b %é'").arg("42").arg("").arg("-");
    let wanted = ["42", "-7", "a:b %é'", "42", "", "-"].map(text);
    assert_eq!(read("price:list:{a}:{b}:{c}:{d}:{e}:{f}", &key), Ok(wanted.to_vec()));

    let key = Key::new("k").arg(true).arg(None::<u8>).arg((1, 2)).arg("true").arg(u128::MAX).arg(i128::MIN);
    let wanted = vec![
        Argument::Boolean(true),
        Argument::Nothing,
        Argument::Compound,
        text("true"),
        text(&u128::MAX.to_string()),
        text(&i128::MIN.to_string()),
    ];
    assert_eq!(read("k:{a}:{b}:{c}:{d}:{e}:{f}", &key), Ok(wanted));
}

#[test]
fn literals_are_held_against_the_key_wherever_they_stand() {
    let key = Key::new("product").arg(7).arg("stock").arg("de");
    assert_eq!(read("product:{id}:stock:{country}", &key), Ok(vec![text("7"), text("de")]));
    for template in
        ["product:{id}:price:{country}", "product:{id}:stock", "products:{a}:{b}:{c}", "{a}:{b}:{c}:{d}:{e}"]
    {
        assert_eq!(read(template, &key), Err(Unread::Stranger), "{template}");
    }
    // `7` is a number in a template; the text of one is another key.
    assert_eq!(read("k:7:{id}", &Key::new("k").arg(7).arg(1)), Ok(vec![text("1")]));
    assert_eq!(read("k:7:{id}", &Key::new("k").arg("7").arg(1)), Err(Unread::Stranger));
    assert_eq!(read("k:A b:{id}", &Key::new("k").arg("A b").arg(1)), Ok(vec![text("1")]));
}

#[test]
fn key_that_was_shortened_has_no_arguments() {
    let long = Key::new("k").arg("a".repeat(300));
    assert_eq!(read("k:{id}", &long), Err(Unread::Shortened));
    let more = Key::parse(&long.wire()).expect("a key prints it").arg(7);
    assert_eq!(Template::parse("k:{a}:{b}").expect("sound").read(&more), Err(Unread::Shortened));
}

#[test]
fn template_that_is_none_is_refused() {
    for (template, says) in [
        ("k:{id", "not closed"),
        ("k:{}", "names nothing"),
        ("k:p{id}", "a whole segment"),
        ("k:{id}x", "a whole segment"),
        ("k:id}", "a whole segment"),
        ("k:{id}:{id}", "twice"),
    ] {
        let error = Template::parse(template).expect_err(template);
        assert!(error.contains(says) && error.contains(template), "{error}");
    }
    let template = Template::parse("k:{odd: \"name}:x").expect("sound");
    assert_eq!(template.names().collect::<Vec<_>>(), ["odd: \"name"]);
    assert_eq!(template.text(), "k:{odd: \"name}:x");
}
