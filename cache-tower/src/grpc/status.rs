//! What of an answer says whether the call has succeeded. The HTTP status does not: a failed call is a 200.

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, SET_COOKIE},
};

use crate::keep::{GRPC, is_any_call};

const GRPC_STATUS: &str = "grpc-status";

/// The code of a call that succeeded.
pub(super) const OK: u32 = 0;

/// A call, by its `content-type`: `application/grpc`, `application/grpc+proto`. Not `application/grpc-web`, which has its trailers
/// in its body.
pub(super) fn is_call(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    is_any_call(headers) && matches!(kind.get(GRPC.len()), None | Some(b'+' | b';' | b' '))
}

/// The code in headers and trailers, if they say one.
pub(super) fn code(headers: &HeaderMap, trailers: Option<&HeaderMap>) -> Option<u32> {
    let all = |fields: &HeaderMap| fields.get_all(GRPC_STATUS).iter().map(number).collect::<Vec<_>>();
    let mut codes = all(headers);
    codes.extend(trailers.map(all).unwrap_or_default());
    let first = *codes.first()?;
    // Two that differ say nothing.
    first.filter(|_| codes.iter().all(|code| *code == first))
}

fn number(value: &HeaderValue) -> Option<u32> {
    let text = value.to_str().ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Why an answer with these headers is none to store, whatever its body and trailers will be.
pub(super) fn refusal(status: StatusCode, headers: &HeaderMap, stores: impl Fn(u32) -> bool) -> Option<&'static str> {
    if status != StatusCode::OK {
        return Some("http_status");
    }
    if !is_call(headers) {
        return Some("content_type");
    }
    if headers.contains_key(SET_COOKIE) {
        return Some("set_cookie");
    }
    let is_failed = headers.contains_key(GRPC_STATUS) && !code(headers, None).is_some_and(stores);
    is_failed.then_some("grpc_status")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fields = &'static [(&'static str, &'static str)];

    fn fields(all: Fields) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in all {
            fields.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        fields
    }

    #[test]
    fn content_type_says_what_is_a_call() {
        for (kind, is, is_any) in [
            ("application/grpc", true, true),
            ("application/grpc+proto", true, true),
            ("application/grpc+json", true, true),
            ("Application/gRPC", true, true),
            ("application/grpc; a=b", true, true),
            ("application/grpc ;a=b", true, true),
            ("application/grpc-web", false, true),
            ("application/grpc-web-text+proto", false, true),
            ("application/grpcx", false, true),
            ("application/grp", false, false),
            ("application/json", false, false),
            ("", false, false),
        ] {
            let fields: HeaderMap = [(CONTENT_TYPE, HeaderValue::from_static(kind))].into_iter().collect();
            assert_eq!((is_call(&fields), is_any_call(&fields)), (is, is_any), "{kind}");
        }
        assert!(!is_any_call(&HeaderMap::new()));
    }

    #[test]
    fn code_is_in_headers_or_trailers_and_one() {
        let rows: Vec<(Fields, Option<Fields>, Option<u32>)> = vec![
            (&[], Some(&[("grpc-status", "0")]), Some(0)),
            (&[("grpc-status", "5")], None, Some(5)),
            (&[("grpc-status", "0")], None, Some(0)),
            (&[("grpc-status", "0")], Some(&[("x-sum", "1")]), Some(0)),
            (&[("grpc-status", "7")], Some(&[("grpc-status", "7")]), Some(7)),
            (&[("grpc-status", "0")], Some(&[("grpc-status", "7")]), None),
            (&[], Some(&[("grpc-status", "0"), ("grpc-status", "1")]), None),
            (&[], Some(&[("grpc-status", "00")]), Some(0)),
            (&[], Some(&[("grpc-status", "+0")]), None),
            (&[], Some(&[("grpc-status", "")]), None),
            (&[], Some(&[("grpc-status", " 0")]), None),
            (&[], Some(&[("grpc-status", "OK")]), None),
            (&[], Some(&[("grpc-status", "4294967296")]), None),
            (&[], Some(&[]), None),
            (&[], None, None),
        ];
        for (headers, trailers, expected) in rows {
            assert_eq!(code(&fields(headers), trailers.map(fields).as_ref()), expected, "{headers:?} {trailers:?}");
        }
    }

    #[test]
    fn headers_alone_may_say_that_an_answer_is_not_stored() {
        const KIND: (&str, &str) = ("content-type", "application/grpc");
        let rows: Vec<(u16, Fields, Option<&str>)> = vec![
            (200, &[KIND], None),
            (200, &[KIND, ("grpc-status", "0")], None),
            (200, &[KIND, ("grpc-status", "5")], Some("grpc_status")),
            (200, &[KIND, ("grpc-status", "x")], Some("grpc_status")),
            (200, &[KIND, ("set-cookie", "a=b")], Some("set_cookie")),
            (200, &[("content-type", "application/json")], Some("content_type")),
            (200, &[], Some("content_type")),
            (204, &[KIND], Some("http_status")),
            (503, &[KIND], Some("http_status")),
        ];
        for (status, headers, why) in rows {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refusal(status, &fields(headers), |code| code == OK), why, "{status} {headers:?}");
        }
        let missing = fields(&[KIND, ("grpc-status", "5")]);
        assert_eq!(refusal(StatusCode::OK, &missing, |code| code == 5), None);
    }
}
