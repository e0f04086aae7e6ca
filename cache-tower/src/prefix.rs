//! Prefixes of paths that answers are purged by: each answer under one has a tag for it.
//!
//! The key of an answer tells apart whatever a service might, so one page may stand under many spellings of its path. A purge has to
//! reach all of them: here percent-encoding and the case of letters do not count, and a path that services may read in more
//! than one way (`//`, `..`, `%2f`) is under every prefix of its origin. What goes without need is loaded again; what stays
//! without right is wrong.

use std::{error::Error, fmt};

/// Segments of a prefix.
const SEGMENTS_MAX: usize = 8;
/// Depths that prefixes have: an answer may have a tag for each.
const DEPTHS_MAX: usize = 4;
/// Prefixes of a layer.
const PREFIXES_MAX: usize = 64;

/// The prefixes of a layer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefixes {
    all: Vec<Prefix>,
    /// The numbers of segments that they have, each once.
    depths: Vec<usize>,
    /// The same for the same prefixes, on every node; 0 if there are none.
    mark: u64,
}

#[derive(Clone, Debug)]
struct Prefix {
    /// As it was declared.
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
enum Segment {
    Is(String),
    /// `{name}`: whatever one segment is.
    Any,
}

/// What a path is under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Under {
    /// These prefixes, in one spelling.
    Prefixes(Vec<String>),
    /// What the service takes it for is not known: any of them.
    Unclear,
}

/// No prefix that a [`CacheLayer`](crate::CacheLayer) can purge by: [`purge_prefixes`](crate::CacheLayer::purge_prefixes) does not
/// name it, so the answers under it have no tag to be evicted by, and nothing was evicted. Its text says which it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPrefix {
    says: String,
}

// === impl Prefixes ===

impl Prefixes {
    /// # Panics
    ///
    /// If one is no prefix, or they are too many.
    #[track_caller]
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let all: Vec<Prefix> = texts.into_iter().map(Prefix::new).collect();
        let mut depths: Vec<usize> = all.iter().map(|prefix| prefix.segments.len()).collect();
        depths.sort_unstable();
        depths.dedup();
        assert!(all.len() <= PREFIXES_MAX, "a layer has {PREFIXES_MAX} prefixes at most, and these are {}", all.len());
        assert!(
            depths.len() <= DEPTHS_MAX,
            "the prefixes of a layer are of {DEPTHS_MAX} different depths at most, and these are of {}: each takes a tag of the \
             answers under it",
            depths.len()
        );
        let mut spelled: Vec<String> = all.iter().map(Prefix::spelled).collect();
        spelled.sort_unstable();
        spelled.dedup();
        let mark = if spelled.is_empty() { 0 } else { hash(spelled.join("\n").as_bytes()).max(1) };
        Self { all, depths, mark }
    }

    pub(crate) fn mark(&self) -> u64 {
        self.mark
    }

    /// How many tags an answer may have for what it is under.
    pub(crate) fn tags(&self) -> usize {
        self.depths.len()
    }

    /// What the answers of a path are under.
    pub(crate) fn of(&self, path: &str) -> Under {
        let Some(deepest) = self.depths.last() else { return Under::Prefixes(Vec::new()) };
        let Some(segments) = read(path, *deepest) else { return Under::Unclear };
        let reached = self.depths.iter().filter_map(|depth| segments.get(..*depth));
        Under::Prefixes(reached.filter(|segments| self.has(segments)).map(spell).collect())
    }

    /// The prefix that a path names, in one spelling.
    pub(crate) fn named(&self, path: &str) -> Result<String, UnknownPrefix> {
        match read(path, usize::MAX) {
            Some(segments) if self.has(&segments) => Ok(spell(&segments)),
            Some(_) => Err(self.unknown(path, "is not one of the prefixes that this layer can purge by")),
            None => Err(self.unknown(path, "can be read in more than one way, so it is no prefix to purge by")),
        }
    }

    fn has(&self, segments: &[String]) -> bool {
        self.all.iter().any(|prefix| prefix.is(segments))
    }

    fn unknown(&self, path: &str, why: &str) -> UnknownPrefix {
        let declared: Vec<String> = self.all.iter().map(|prefix| format!("`{}`", prefix.text)).collect();
        let declared = if declared.is_empty() { "none".to_owned() } else { declared.join(", ") };
        let says = format!("`{path}` {why}: those that `CacheLayer::purge_prefixes` declares are {declared}");
        UnknownPrefix { says }
    }
}

// === impl Prefix ===

impl Prefix {
    #[track_caller]
    fn new(text: &str) -> Self {
        let Some(segments) = read(text, usize::MAX) else {
            panic!("`{text}` is no prefix of paths: `/products` is one, and `/shops/{{shop}}` are several");
        };
        assert!(segments.len() <= SEGMENTS_MAX, "the prefix `{text}` has more than {SEGMENTS_MAX} segments");
        let segment = |segment: String| {
            let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let is_name = |inner: &str| !inner.contains(['{', '}', '*']);
            match inner {
                Some(inner) if is_name(inner) => Segment::Any,
                None if is_name(&segment) => Segment::Is(segment),
                _ => panic!("`{segment}` in the prefix `{text}` is no segment: `{{name}}` is whatever one segment is"),
            }
        };
        Self { text: text.to_owned(), segments: segments.into_iter().map(segment).collect() }
    }

    fn is(&self, segments: &[String]) -> bool {
        let is = |(own, other): (&Segment, &String)| match own {
            Segment::Is(text) => text == other,
            Segment::Any => true,
        };
        self.segments.len() == segments.len() && self.segments.iter().zip(segments).all(is)
    }

    fn spelled(&self) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Is(text) => text.clone(),
            Segment::Any => "{}".to_owned(),
        };
        spell(&self.segments.iter().map(segment).collect::<Vec<_>>())
    }
}

fn spell(segments: &[String]) -> String {
    format!("/{}", segments.join("/"))
}

/// The segments of a path, decoded and in lower case; nothing if services may not agree on the first `counting` of them. A `/` at its
/// end makes no difference.
fn read(path: &str, counting: usize) -> Option<Vec<String>> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Some(Vec::new());
    }
    let segments: Vec<String> = path.split('/').map(decoded).collect();
    let is_clear = |(place, segment): (usize, &String)| {
        let splits = segment.contains(['/', '\\', ';']) || segment.is_empty() || segment == ".";
        // Wherever they stand, `..` may lead out of a prefix, and what is still encoded may be `..`.
        !(segment.contains("..") || is_encoded(segment) || (place < counting && splits))
    };
    segments.iter().enumerate().all(is_clear).then_some(segments)
}

/// A segment without percent-encoding. What is no text is written as U+FFFD: that makes two of one at worst.
fn decoded(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        if let Some(encoded) = encoded(rest) {
            bytes.push(encoded);
            rest = &behind[2..];
        } else {
            bytes.push(*byte);
            rest = behind;
        }
    }
    let mut decoded = String::from_utf8_lossy(&bytes).into_owned();
    decoded.make_ascii_lowercase();
    decoded
}

/// The byte that stands at the start in percent-encoding.
fn encoded(text: &[u8]) -> Option<u8> {
    let &[b'%', high, low, ..] = text else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

fn is_encoded(segment: &str) -> bool {
    segment.as_bytes().windows(3).any(|window| encoded(window).is_some())
}

/// FNV-1a: the same in every process, for ever.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

// === impl UnknownPrefix ===

impl fmt::Display for UnknownPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.says)
    }
}

impl Error for UnknownPrefix {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefixes() -> Prefixes {
        Prefixes::new(["/products", "/shops/{shop}/", "/shops/all", "/"])
    }

    fn under(path: &str) -> Option<Vec<String>> {
        match prefixes().of(path) {
            Under::Prefixes(prefixes) => Some(prefixes),
            Under::Unclear => None,
        }
    }

    #[test]
    fn path_is_under_the_prefixes_that_it_begins_with_however_it_is_spelled() {
        let rows: &[(&str, &[&str])] = &[
            ("/", &["/"]),
            ("/products", &["/", "/products"]),
            ("/products/", &["/", "/products"]),
            ("/products/7", &["/", "/products"]),
            ("/products/7//img", &["/", "/products"]),
            ("/products/7/.", &["/", "/products"]),
            ("/Products/7", &["/", "/products"]),
            ("/%70rod%75cts/7", &["/", "/products"]),
            ("/products-old/7", &["/"]),
            ("/product", &["/"]),
            ("/shops", &["/"]),
            ("/shops/7", &["/", "/shops/7"]),
            ("/shops/all/x", &["/", "/shops/all"]),
            ("/shops/b%c3%a4r/x", &["/", "/shops/b\u{e4}r"]),
            ("/shops/7/products/8", &["/", "/shops/7"]),
        ];
        for (path, expected) in rows {
            let expected: Vec<String> = expected.iter().map(|&prefix| prefix.to_owned()).collect();
            assert_eq!(under(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn path_that_can_be_read_in_two_ways_is_under_all() {
        for path in [
            "//products/7",
            "/shops//7",
            "/x/../products/7",
            "/./products/7",
            "/x/%2e%2E/products",
            "/x/.%2e/products",
            "/x/%252e%252e/products",
            "/products%2f7",
            "/x/y/z/..%2f..%2f../products/7",
            "/products%5c7",
            "/products;v=1/7",
            "/x/y/z/..;/..;/products",
            "*",
            "",
        ] {
            assert_eq!(under(path), None, "{path}");
        }
    }

    #[test]
    fn prefix_that_was_not_declared_is_refused_with_those_that_were() {
        let prefixes = prefixes();
        for (path, spelled) in
            [("/products/", "/products"), ("/shops/7", "/shops/7"), ("/Shops/%41/", "/shops/a"), ("/", "/")]
        {
            assert_eq!(prefixes.named(path).as_deref(), Ok(spelled), "{path}");
        }
        for path in ["/products/7", "/shops", "/shops/7/8", "/x", "///", "/x/..", "/shops/{shop}/;"] {
            let says = prefixes.named(path).unwrap_err().to_string();
            assert!(says.contains("`/products`, `/shops/{shop}/`, `/shops/all`, `/`"), "{says}");
        }
        assert!(Prefixes::default().named("/").unwrap_err().to_string().contains("declares are none"));
        assert_eq!(Prefixes::default().of("/x/../y"), Under::Prefixes(Vec::new()), "nothing to be under");
    }

    #[test]
    fn mark_is_that_of_the_set_and_never_that_of_none() {
        assert_eq!(Prefixes::default().mark(), 0);
        assert_eq!(Prefixes::new([]).mark(), 0);
        assert_ne!(Prefixes::new(["/"]).mark(), 0);
        assert_eq!(Prefixes::new(["/a", "/b/{x}"]).mark(), Prefixes::new(["/b/{name}/", "/A/", "/a"]).mark());
        assert_ne!(Prefixes::new(["/a"]).mark(), Prefixes::new(["/b"]).mark());
        assert_eq!(Prefixes::new(["/a", "/b"]).mark(), 0xfcc9_bd45_d2d6_33b4, "on every node, for ever");
    }

    #[test]
    fn what_is_no_prefix_is_refused_where_it_stands() {
        for text in ["", "products", "/a//b", "/a/../b", "/a/{*rest}", "/a/{x", "/a/x{y}", "/1/2/3/4/5/6/7/8/9"] {
            assert!(std::panic::catch_unwind(|| Prefixes::new([text])).is_err(), "{text}");
        }
        assert!(std::panic::catch_unwind(|| Prefixes::new(["/", "/1", "/1/2", "/1/2/3", "/1/2/3/4"])).is_err());
        assert_eq!(Prefixes::new(["/", "/1", "/2", "/1/2", "/1/2/3"]).tags(), DEPTHS_MAX);
    }

    proptest! {
        /// What a purge of a prefix has to reach, it does: any path below it, by whatever letters are encoded.
        #[test]
        fn whatever_is_below_a_prefix_is_under_it(below in "[a-z0-9/.%;\\\\]{0,12}", encode: [bool; 8]) {
            let first: String = "products".chars().zip(encode).map(|(letter, encode)| {
                if encode { format!("%{:02x}", u32::from(letter)) } else { letter.to_string() }
            }).collect();
            let under = under(&format!("/{first}/{below}"));
            prop_assert!(under.is_none_or(|under| under.contains(&"/products".to_owned())));
        }

        #[test]
        fn no_path_panics_nor_is_under_more_than_there_are_tags(path: String) {
            prop_assert!(under(&path).is_none_or(|under| under.len() <= prefixes().tags()));
        }
    }
}
