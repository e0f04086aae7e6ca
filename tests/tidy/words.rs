//! Words that may not stand in a source file, and one that needs a reason beside it.

use crate::tokens::{self, Seen, What};
use crate::tree::{self, File};
use crate::{APART, Finding, LEFT_BEHIND, WAIT_WORDS, assert_bites, assert_none};

fn check(file: &File) -> Vec<Finding> {
    let seen = match tokens::read(file) {
        Ok(seen) => seen,
        // What a macro refuses need not even be made of tokens.
        Err(_) if file.path.starts_with("tests/ui/fail/") => return Vec::new(),
        Err(says) => return vec![Finding::new(file, 1, says)],
    };
    let says = |it: &Seen| left_behind(it).or_else(|| stranger(file, it)).or_else(|| sleeper(file, it));
    seen.iter().filter_map(|it| Some(Finding::new(file, it.line, says(it)?))).collect()
}

fn left_behind(seen: &Seen) -> Option<String> {
    match &seen.what {
        What::Name(name) if name == "unsafe" => Some("`unsafe` has no place in this repository".to_owned()),
        What::Macro(name) if LEFT_BEHIND.contains(&name.as_str()) => Some(format!("`{name}!` was left behind")),
        What::Attribute(name) if name == "ignore" => {
            Some("an ignored test proves nothing: mend it or take it out".to_owned())
        }
        _ => None,
    }
}

/// A crate of ours that this one may not know. The macros write `::cache_core` into what they expand to: with `::` in
/// front it is a name for somebody else's crate, so their manifest alone is held, and a `use` at the top of a line.
fn stranger(file: &File, seen: &Seen) -> Option<String> {
    let What::Name(name) = &seen.what else { return None };
    let (_, apart) = APART.iter().find(|(package, _)| file.package() == *package)?;
    let crate_name = apart.iter().find(|it| it.replace('-', "_") == *name)?;
    if !file.path.contains("/src/") || seen.tested {
        return None;
    }
    let line = file.text.lines().nth(seen.line - 1).unwrap_or("").trim_start();
    let written =
        file.package() == "cache-macros" && (line.contains(&format!("::{name}")) || !line.starts_with("use "));
    (!written).then(|| format!("`{}` may not know `{crate_name}`", file.package()))
}

fn sleeper(file: &File, seen: &Seen) -> Option<String> {
    let is_sleep = matches!(&seen.what, What::Call(name) if matches!(name.as_str(), "sleep" | "sleep_until"));
    if !is_sleep || !(file.is_test() || seen.tested) {
        return None;
    }
    let lines: Vec<&str> = file.text.lines().collect();
    let here = seen.line - 1;
    let above = lines[..here].iter().rev().take_while(|line| line.trim_start().starts_with("//"));
    let beside = lines[here].split_once("//").map(|(_, comment)| comment);
    let says_why = above.copied().chain(beside).any(|comment| comment.to_lowercase().contains(WAIT_WORDS));
    (!says_why).then(|| {
        format!("a sleep in a test: wait for the thing (`tests::eventually`), or say in a comment above, with the words \"{WAIT_WORDS}\", what time is waited for")
    })
}

#[test]
fn sources_have_no_forbidden_words() {
    let findings: Vec<Finding> = tree::files().iter().filter(|file| file.is_rust()).flat_map(check).collect();
    assert_none(&findings);
}

#[test]
fn forbidden_word_is_found() {
    // Written in two halves, so that a search of the tree for them does not end here.
    for (text, says) in [
        ("\nfn f() { unsafe { g() } }", "`unsafe`"),
        ("\nunsafe impl Send for A {}", "`unsafe`"),
        (concat!("\nfn f() { to", "do!() }"), "left behind"),
        (concat!("\nfn f() { unimple", "mented!(\"later\") }"), "left behind"),
        (concat!("\nfn f() { let a = db", "g!(b); }"), "left behind"),
        (concat!("\n#[ign", "ore] #[test] fn f() {}"), "an ignored test"),
        (concat!("\n#[ign", "ore = \"slow\"] #[test] fn f() {}"), "an ignored test"),
        ("\nuse cache_tower::CacheLayer;", "may not know `cache-tower`"),
        ("\nfn f() { cache_tower::f() }", "may not know `cache-tower`"),
        ("\nfn f() {", "tokens"),
    ] {
        let line = if says == "tokens" { 1 } else { 2 };
        assert_bites(&check(&File::snippet("cache-core/src/key.rs", text)), line, says);
    }
}

#[test]
fn crates_that_the_macros_may_not_know_are_found_and_what_they_write_passes() {
    let check = |text: &str| check(&File::snippet("cache-macros/src/expand.rs", text));
    assert_bites(&check("\nuse cache_core::Key;"), 2, "`cache-macros` may not know `cache-core`");
    assert_bites(&check("\n    use cache_tower::Key;"), 2, "`cache-macros` may not know `cache-tower`");
    assert_none(&check("fn f() { quote! { use ::cache_core::Key; ::cache_core::key() } }"));
}

#[test]
fn words_that_only_look_forbidden_pass() {
    // In two halves, as above.
    let text = concat!(
        "//! unsafe, to",
        "do!(), #[ign",
        "ore]\n#![forbid(unsafe_code)]\n",
        "const A: &str = \"unsafe { db",
        "g!() }\";\nfn to",
        "do() {}\n",
    );
    assert_none(&check(&File::snippet("cache-core/src/key.rs", text)));
}

#[test]
fn sleep_in_a_test_needs_its_reason() {
    let test = |text: &str| check(&File::snippet("tests/it/tags.rs", text));
    assert_bites(&test("fn f() {\n    sleep(SOON).await;\n}"), 2, "wait for the thing");
    assert_bites(&test("fn f() {\n    tokio::time::sleep_until(then).await;\n}"), 2, "wait for the thing");
    assert_bites(&test("fn f() {\n    // let the others run\n    sleep(SOON).await;\n}"), 3, "wait for the thing");
    assert_none(&test(
        "fn f() {\n    // Time itself: the entry's 50 ms\n    // have to pass.\n    sleep(SOON).await;\n}",
    ));
    assert_none(&test("fn f() {\n    sleep(SOON).await; // time itself: the TTL\n}"));

    let unit = "fn f() { sleep(A) }\n#[cfg(test)]\nmod tests {\n    fn g() { sleep(B) }\n}";
    assert_bites(&check(&File::snippet("cache-core/src/tasks.rs", unit)), 4, "wait for the thing");
}
