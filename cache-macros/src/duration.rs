//! Durations as text: `15m`, `1h30m`, `250ms`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Expr, ExprLit, Lit};

/// Milliseconds of each unit, the largest first.
const UNITS: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The expression of a duration, from text or from an expression.
pub(crate) fn tokens(krate: &TokenStream, value: &Expr) -> Result<TokenStream, syn::Error> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
            let millis = parse(&text.value()).map_err(|message| syn::Error::new(text.span(), message))?;
            Ok(quote!(#krate::__private::Duration::from_millis(#millis)))
        }
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => {
            let message = format!(
                "a number has no unit: write `\"{number}s\"` for seconds, or any expression of type `Duration`"
            );
            Err(syn::Error::new(number.span(), message))
        }
        other => Ok(quote!(#other)),
    }
}

fn parse(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "`{text}` is not a duration; write numbers with `d`, `h`, `m`, `s` or `ms`, like `15m`, `1h30m` or `250ms`"
        )
    };
    let (mut rest, mut millis, mut units) = (text, 0_u64, UNITS);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let at = units.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        millis = number.checked_mul(units[at].1).and_then(|part| millis.checked_add(part)).ok_or_else(wrong)?;
        // The larger unit comes first, and each once.
        units = &units[at + 1..];
        rest = tail;
    }
    match millis {
        0 if text.is_empty() => Err(wrong()),
        0 => Err(format!("`{text}` is no time at all: nothing would be kept; leave the option out, or use `when`")),
        _ => Ok(millis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_written() {
        for (text, millis) in [
            ("15m", 900_000),
            ("90s", 90_000),
            ("250ms", 250),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("1m5s7ms", 65_007),
        ] {
            assert_eq!(parse(text), Ok(millis), "{text}");
        }
    }

    #[test]
    fn durations_that_say_nothing_are_refused() {
        for text in [
            "",
            "15",
            "m",
            "15x",
            "15 m",
            "1.5h",
            "-1s",
            "5m1h",
            "1s1s",
            "99999999999999999999d",
            "213503982335d",
            "1M",
        ] {
            assert!(parse(text).is_err_and(|message| message.contains("is not a duration")), "{text}");
        }
        assert!(parse("0s").is_err_and(|message| message.contains("no time at all")));
    }
}
