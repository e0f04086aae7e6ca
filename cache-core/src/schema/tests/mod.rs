#![allow(dead_code, reason = "the shapes are read, their fields are not")]

mod hard;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    marker::PhantomData,
    ops::Range,
    sync::Arc,
    time::Duration,
};

use super::*;

fn of<T: DeserializeOwned>() -> Fingerprint {
    find::<T>(Codec::Bincode, 0).unwrap_or_else(|error| panic!("{error}"))
}

fn is_whole<T: DeserializeOwned>(codec: Codec) -> bool {
    let recording = record::record::<T>(codec.is_self_describing());
    recording.whole && !recording.describing
}

/// The type `Product` with one thing different each time, in a module of its own.
macro_rules! product {
    ($module:ident { $($item:tt)* }) => {
        mod $module {
            use serde::Deserialize;
            $($item)*
        }
    };
}

product!(base {
    #[derive(Deserialize)] pub(super) struct Product { id: u64, name: String, state: State, more: Option<Vec<Part>> }
    #[derive(Deserialize)] pub(super) enum State { Draft, Live(u32), Gone { why: String } }
    #[derive(Deserialize)] pub(super) struct Part { weight: u32 }
});
product!(same {
    #[derive(Deserialize)] pub(super) struct Product { id: u64, name: Box<str>, state: State, more: Option<Vec<Part>> }
    #[derive(Deserialize)] pub(super) enum State { Draft, Live(u32), Gone { why: String } }
    #[derive(Deserialize)] pub(super) struct Part { weight: u32 }
});
product!(field_added {
    #[derive(Deserialize)] pub(super) struct Product { id: u64, name: String, state: State, more: Option<Vec<Part>>, new: bool }
    #[derive(Deserialize)] pub(super) enum State { Draft, Live(u32), Gone { why: String } }
    #[derive(Deserialize)] pub(super) struct Part { weight: u32 }
});
product!(field_renamed {
    #[derive(Deserialize)] pub(super) struct Product { id: u64, title: String, state: State, more: Option<Vec<Part>> }
    #[derive(Deserialize)] pub(super) enum State { Draft, Live(u32), Gone { why: String } }
    #[derive(Deserialize)] pub(super) struct Part { weight: u32 }
});
product!(field_retyped {
    #[derive(Deserialize)] pub(super) struct Product { id: i64, name: String, state: State, more: Option<Vec<Part>> }
    #[derive(Deserialize)] pub(super) enum State { Draft, Live(u32), Gone { why: String } }
    #[derive(Deserialize)] pub(super) struct Part { weight: u32 }
});
product!(fields_swapped {
    #[derive(Deserialize)] pub(super) struct Product { name: String, id: u64, state: State, more: Option<Vec<Part>> }
    #[derive(Deserialize)] pub(super) enum State { Draft, Live(u32), Gone { why: String } }
    #[derive(Deserialize)] pub(super) struct Part { weight: u32 }
});
product!(inner_retyped {
    #[derive(Deserialize)] pub(super) struct Product { id: u64, name: String, state: State, more: Option<Vec<Part>> }
    #[derive(Deserialize)] pub(super) enum State { Draft, Live(u32), Gone { why: String } }
    #[derive(Deserialize)] pub(super) struct Part { weight: i64 }
});
product!(variants_swapped {
    #[derive(Deserialize)] pub(super) struct Product { id: u64, name: String, state: State, more: Option<Vec<Part>> }
    #[derive(Deserialize)] pub(super) enum State { Live(u32), Draft, Gone { why: String } }
    #[derive(Deserialize)] pub(super) struct Part { weight: u32 }
});
product!(variant_renamed {
    #[derive(Deserialize)] pub(super) struct Product { id: u64, name: String, state: State, more: Option<Vec<Part>> }
    #[derive(Deserialize)] pub(super) enum State { Draft, Live(u32), Lost { why: String } }
    #[derive(Deserialize)] pub(super) struct Part { weight: u32 }
});
product!(last_variant_retyped {
    #[derive(Deserialize)] pub(super) struct Product { id: u64, name: String, state: State, more: Option<Vec<Part>> }
    #[derive(Deserialize)] pub(super) enum State { Draft, Live(u32), Gone { why: Option<String> } }
    #[derive(Deserialize)] pub(super) struct Part { weight: u32 }
});
product!(variant_reshaped {
    #[derive(Deserialize)] pub(super) struct Product { id: u64, name: String, state: State, more: Option<Vec<Part>> }
    #[derive(Deserialize)] pub(super) enum State { Draft, Live { of: u32 }, Gone { why: String } }
    #[derive(Deserialize)] pub(super) struct Part { weight: u32 }
});
product!(inner_renamed {
    #[derive(Deserialize)] pub(super) struct Product { id: u64, name: String, state: State, more: Option<Vec<Piece>> }
    #[derive(Deserialize)] pub(super) enum State { Draft, Live(u32), Gone { why: String } }
    #[derive(Deserialize)] pub(super) struct Piece { weight: u32 }
});
product!(renamed {
    #[derive(Deserialize)] pub(super) struct Article { id: u64, name: String, state: State, more: Option<Vec<Part>> }
    #[derive(Deserialize)] pub(super) enum State { Draft, Live(u32), Gone { why: String } }
    #[derive(Deserialize)] pub(super) struct Part { weight: u32 }
});

#[test]
fn change_of_shape_changes_fingerprint() {
    assert_eq!(of::<base::Product>(), of::<same::Product>(), "the module and the kind of string do not matter");
    let all = [
        ("base", of::<base::Product>()),
        ("field added", of::<field_added::Product>()),
        ("field renamed", of::<field_renamed::Product>()),
        ("field retyped", of::<field_retyped::Product>()),
        ("fields swapped", of::<fields_swapped::Product>()),
        ("inner retyped", of::<inner_retyped::Product>()),
        ("variants swapped", of::<variants_swapped::Product>()),
        ("variant renamed", of::<variant_renamed::Product>()),
        ("last variant retyped", of::<last_variant_retyped::Product>()),
        ("variant reshaped", of::<variant_reshaped::Product>()),
        ("inner renamed", of::<inner_renamed::Product>()),
        ("renamed", of::<renamed::Article>()),
        ("json", find::<base::Product>(Codec::Json, 0).unwrap()),
        #[cfg(feature = "postcard")]
        ("postcard", find::<base::Product>(Codec::Postcard, 0).unwrap()),
        #[cfg(feature = "messagepack")]
        ("messagepack", find::<base::Product>(Codec::MessagePack, 0).unwrap()),
        ("rev", find::<base::Product>(Codec::Bincode, 1).unwrap()),
    ];
    let distinct: HashSet<Fingerprint> = all.iter().map(|&(_, fingerprint)| fingerprint).collect();
    assert_eq!(distinct.len(), all.len(), "{all:#?}");
}

#[test]
fn plain_types_differ() {
    let all = [
        of::<u8>(),
        of::<u16>(),
        of::<u32>(),
        of::<u64>(),
        of::<u128>(),
        of::<i8>(),
        of::<i16>(),
        of::<i32>(),
        of::<i64>(),
        of::<i128>(),
        of::<f32>(),
        of::<f64>(),
        of::<bool>(),
        of::<char>(),
        of::<String>(),
        of::<()>(),
        of::<Vec<u8>>(),
        of::<Vec<u16>>(),
        of::<Vec<Vec<u8>>>(),
        of::<Option<u8>>(),
        of::<Option<Option<u8>>>(),
        of::<(u8,)>(),
        of::<(u8, u8)>(),
        of::<[u8; 3]>(),
        of::<BTreeMap<u8, u8>>(),
        of::<BTreeMap<u8, u16>>(),
        of::<BTreeMap<u16, u8>>(),
        of::<Result<u8, u8>>(),
        of::<Result<u8, u16>>(),
        of::<PhantomData<u8>>(),
        of::<Range<u8>>(),
        of::<Duration>(),
    ];
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    assert_eq!(of::<Vec<u8>>(), of::<BTreeSet<u8>>(), "the same bytes");
    assert_eq!(of::<HashMap<String, u8>>(), of::<BTreeMap<Box<str>, u8>>());
    assert_eq!(of::<Arc<str>>(), of::<Cow<'static, str>>());
}

// === For ever the same ===

#[test]
fn fingerprints_are_the_same_in_every_build() {
    let golden = [
        (find::<u64>(Codec::Bincode, 0), "b198a62f0919dd3f"),
        (find::<String>(Codec::Bincode, 0), "cbaebb60b699ff05"),
        (find::<base::Product>(Codec::Bincode, 0), "8b8c09d82db956a9"),
        (find::<base::Product>(Codec::Json, 0), "32f1210bc66c9088"),
        #[cfg(feature = "postcard")]
        (find::<base::Product>(Codec::Postcard, 0), "836dde7aa8eee27d"),
        #[cfg(feature = "messagepack")]
        (find::<base::Product>(Codec::MessagePack, 0), "bb5ddb71593627ba"),
        (find::<base::Product>(Codec::Bincode, 7), "a881c6f00cdb4a47"),
        (find::<hard::Expression>(Codec::Bincode, 0), "cbb5c36cdd67a850"),
        (find::<one_of_each::All>(Codec::Bincode, 0), "57fb8c267928a9f6"),
    ];
    for (at, (found, text)) in golden.into_iter().enumerate() {
        assert_eq!(found.unwrap().to_string(), text, "{at}");
    }
}

mod one_of_each {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    #[derive(Deserialize)]
    pub(super) struct All {
        numbers: (i8, i16, i32, i64, i128, u8, u16, u32, u64, u128, f32, f64),
        plain: (bool, char, String, ()),
        list: Vec<Unit>,
        map: BTreeMap<String, Option<New>>,
        array: [u8; 2],
        result: Result<Pair, Kind>,
    }
    #[derive(Deserialize)]
    struct Unit;
    #[derive(Deserialize)]
    struct New(u8);
    #[derive(Deserialize)]
    struct Pair(u8, u16);
    #[derive(Deserialize)]
    enum Kind {
        Unit,
        New(u8),
        Pair(u8, u16),
        Named { a: u8, b: u16 },
    }
}

#[test]
fn fingerprint_is_found_once_and_is_that_of_the_type() {
    assert_eq!(fingerprint::<base::Product>(Codec::Bincode, 0), Ok(of::<base::Product>()));
    assert_eq!(fingerprint::<base::Product>(Codec::Bincode, 0), Ok(of::<base::Product>()));
    assert_eq!(fingerprint::<base::Product>(Codec::Bincode, 3), find::<base::Product>(Codec::Bincode, 3));
    assert_eq!(fingerprint::<base::Product>(Codec::Json, 0), find::<base::Product>(Codec::Json, 0));
    assert_eq!(fingerprint::<hard::Tagged>(Codec::Bincode, 0), find::<hard::Tagged>(Codec::Bincode, 0));
    assert_eq!(of::<u8>().to_string().len(), 16);
}
