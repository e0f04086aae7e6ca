//! Which calls have one answer: the method, the message, and what else the answer depends on.

use cache_core::Key;
use http::{
    HeaderMap,
    header::{AUTHORIZATION, COOKIE},
};

use super::config::{Config, GrpcCall};
use crate::key::{line, push};

/// What the form of the answer depends on, whatever the message: the codec, and which compressions are used and understood.
const FORM: [&str; 3] = ["content-type", "grpc-encoding", "grpc-accept-encoding"];

/// Why a call is answered by the service alone: it shows who makes it, and nothing says that the answer is for others too, or that
/// the key names him.
pub(super) fn refusal(config: &Config, metadata: &HeaderMap, is_own: bool) -> Option<&'static str> {
    let is_harmless = is_own || config.shares_authorized;
    [(AUTHORIZATION, "authorization"), (COOKIE, "cookie")]
        .into_iter()
        .find(|(name, _)| metadata.contains_key(name) && !is_harmless && !config.key_metadata.contains(name))
        .map(|(_, why)| why)
}

/// The key of a call.
pub(super) fn key(config: &Config, call: &GrpcCall<'_>, identity: Option<&str>) -> Key {
    let mut fields = String::new();
    if let Some(identity) = identity {
        line(&mut fields, ":identity", identity.as_bytes());
    }
    for name in FORM {
        push(&mut fields, name, call.metadata().get_all(name).iter());
    }
    for name in &config.key_metadata {
        push(&mut fields, name.as_str(), call.metadata().get_all(name).iter());
    }
    config.head.clone().arg(call.path()).arg(fields).arg(hex(call.frame))
}

/// The tag of all answers of a method.
pub(super) fn tag_of_method(config: &Config, path: &str) -> Key {
    config.tag_head.clone().arg(path)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digits = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    bytes.iter().flat_map(digits).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use http::{HeaderName, HeaderValue, Request, request};

    use super::*;

    fn parts(path: &str, metadata: &[(&'static str, &str)]) -> request::Parts {
        let mut request = Request::builder().method("POST").uri(path);
        for (name, value) in metadata {
            request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        request.body(()).unwrap().into_parts().0
    }

    fn config() -> Config {
        let tenant = HeaderName::from_static("x-tenant");
        Config { key_metadata: vec![tenant, HeaderName::from_static("x-b")], ..Config::new("grpc") }
    }

    type Row =
        (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static [u8], Option<&'static str>);

    #[test]
    fn calls_that_may_differ_in_their_answers_have_keys_of_their_own() {
        const KIND: (&str, &str) = ("content-type", "application/grpc");
        let long = Box::leak(vec![7_u8; 70_000].into_boxed_slice());
        let longer = Box::leak(vec![7_u8; 70_001].into_boxed_slice());
        let rows: Vec<Row> = vec![
            ("a call", "/a.B/C", &[KIND], b"\0\0\0\0\x01a", None),
            ("another method", "/a.B/D", &[KIND], b"\0\0\0\0\x01a", None),
            ("another message", "/a.B/C", &[KIND], b"\0\0\0\0\x01b", None),
            ("an empty message", "/a.B/C", &[KIND], b"\0\0\0\0\0", None),
            ("a compressed one", "/a.B/C", &[KIND], b"\x01\0\0\0\x01a", None),
            ("a codec", "/a.B/C", &[("content-type", "application/grpc+json")], b"\0\0\0\0\x01a", None),
            ("an encoding", "/a.B/C", &[KIND, ("grpc-encoding", "gzip")], b"\x01\0\0\0\x01a", None),
            ("another encoding", "/a.B/C", &[KIND, ("grpc-encoding", "zstd")], b"\x01\0\0\0\x01a", None),
            ("what is understood", "/a.B/C", &[KIND, ("grpc-accept-encoding", "gzip")], b"\0\0\0\0\x01a", None),
            ("a tenant", "/a.B/C", &[KIND, ("x-tenant", "a")], b"\0\0\0\0\x01a", None),
            ("another tenant", "/a.B/C", &[KIND, ("x-tenant", "b")], b"\0\0\0\0\x01a", None),
            ("two tenants", "/a.B/C", &[KIND, ("x-tenant", "a"), ("x-tenant", "b")], b"\0\0\0\0\x01a", None),
            ("a tenant with lines", "/a.B/C", &[KIND, ("x-tenant", "a\\nx-b=1")], b"\0\0\0\0\x01a", None),
            ("two fields", "/a.B/C", &[KIND, ("x-tenant", "a"), ("x-b", "1")], b"\0\0\0\0\x01a", None),
            ("somebody", "/a.B/C", &[KIND], b"\0\0\0\0\x01a", Some("alice")),
            ("somebody else", "/a.B/C", &[KIND], b"\0\0\0\0\x01a", Some("bob")),
            ("a name with lines", "/a.B/C", &[KIND], b"\0\0\0\0\x01a", Some("bob\nx-b=1")),
            ("a long message", "/a.B/C", &[KIND], long, None),
            ("a longer one", "/a.B/C", &[KIND], longer, None),
        ];
        let mut seen = HashMap::new();
        for (says, path, metadata, frame, identity) in rows {
            let parts = parts(path, metadata);
            let key = key(&config(), &GrpcCall { parts: &parts, frame }, identity);
            assert!(key.wire().len() <= 200, "{says}");
            assert!(key.wire().starts_with("grpc:"), "{says}: {}", key.wire());
            if let Some(other) = seen.insert(key.wire(), says) {
                panic!("{says} has the key of {other}");
            }
        }
    }

    #[test]
    fn no_key_shows_a_secret() {
        let config = Config { key_metadata: vec![AUTHORIZATION, COOKIE], ..Config::new("grpc") };
        let of = |token| {
            let parts = parts("/a.B/C", &[("authorization", token), ("cookie", token)]);
            key(&config, &GrpcCall { parts: &parts, frame: b"" }, None).wire()
        };
        assert!(!of("hunter2").contains("hunter2"), "{}", of("hunter2"));
        assert_ne!(of("hunter2"), of("hunter3"));
    }

    #[test]
    fn what_answers_do_not_depend_on_is_not_in_the_key() {
        let frame = b"\0\0\0\0\x01a";
        let of = |metadata| key(&config(), &GrpcCall { parts: &parts("/a.B/C", metadata), frame }, None);
        let others = of(&[("grpc-timeout", "5S"), ("user-agent", "tonic"), ("x-request-id", "7"), ("te", "trailers")]);
        assert_eq!(of(&[]), others);
    }

    #[test]
    fn call_of_somebody_is_answered_by_the_service_unless_told_otherwise() {
        let with = |change: fn(&mut Config)| {
            let mut config = Config::new("grpc");
            change(&mut config);
            config
        };
        let careful = with(|_| {});
        let keyed = with(|config| config.key_metadata.push(AUTHORIZATION));
        let shared = with(|config| config.shares_authorized = true);
        type Row<'a> = (&'a str, &'a Config, &'a [(&'static str, &'a str)], bool, Option<&'a str>);
        let rows: Vec<Row<'_>> = vec![
            ("nobody", &careful, &[], false, None),
            ("a token", &careful, &[("authorization", "Bearer a")], false, Some("authorization")),
            ("an empty one", &careful, &[("authorization", "")], false, Some("authorization")),
            ("a cookie", &careful, &[("cookie", "a=b")], false, Some("cookie")),
            ("a token in the key", &keyed, &[("authorization", "Bearer a")], false, None),
            ("a cookie beside it", &keyed, &[("authorization", "Bearer a"), ("cookie", "a=b")], false, Some("cookie")),
            ("one for all", &shared, &[("authorization", "Bearer a"), ("cookie", "a=b")], false, None),
            ("somebody whom the key names", &careful, &[("authorization", "Bearer a")], true, None),
        ];
        for (says, config, metadata, is_own, why) in rows {
            assert_eq!(refusal(config, &parts("/a.B/C", metadata).headers, is_own), why, "{says}");
        }
    }
}
