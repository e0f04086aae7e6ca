//! Collects mistakes, finds what was meant, and keeps the user's item.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};

/// The mistakes found so far: all are reported at once, each at its own token.
#[derive(Default)]
pub(crate) struct Diagnostics {
    found: Option<syn::Error>,
}

// === impl Diagnostics ===

impl Diagnostics {
    /// A mistake at `tokens`.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.add(syn::Error::new_spanned(tokens, message));
    }

    /// A mistake where there are no tokens to point at but a place.
    pub(crate) fn here(&mut self, span: Span, message: impl std::fmt::Display) {
        self.add(syn::Error::new(span, message));
    }

    /// A mistake that syn found, or one made elsewhere.
    pub(crate) fn add(&mut self, error: syn::Error) {
        match &mut self.found {
            Some(found) => found.combine(error),
            None => self.found = Some(error),
        }
    }

    /// `value`, unless there was a mistake.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, syn::Error> {
        match self.found {
            Some(error) => Err(error),
            // Whoever gives no value has said why.
            None => value.ok_or_else(|| syn::Error::new(Span::call_site(), "not understood; please report this")),
        }
    }
}

/// The errors, and beside them the item as the user wrote it: one mistake does not become twenty.
pub(crate) fn beside(error: &syn::Error, item: &TokenStream) -> TokenStream {
    let errors = error.to_compile_error();
    quote!(#errors #item)
}

/// Tokens as people write them: `x: Foo<'_>`.
pub(crate) fn spelled(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (apart, together) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        ("& ", "&"),
        (" ,", ","),
        (" :", ":"),
        ("( ", "("),
        (" )", ")"),
        ("Fn (", "Fn("),
        ("[ ", "["),
        (" ]", "]"),
    ] {
        text = text.replace(apart, together);
    }
    text
}

/// `; did you mean `x`?`, if one of `known` is near, else nothing.
pub(crate) fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = known.into_iter().map(|word| (distance(written, word), word)).min();
    match near {
        Some((steps, word)) if steps * 3 <= written.len().max(3) => format!("; did you mean `{word}`?"),
        _ => String::new(),
    }
}

/// How many letters must be added, taken, changed or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<_>>()];
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(a != b)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn did_you_mean_finds_a_near_word_only() {
        let known = ["key", "skip", "ttl", "negative"];
        assert_eq!(did_you_mean("kye", known), "; did you mean `key`?");
        assert_eq!(did_you_mean("negativ", known), "; did you mean `negative`?");
        assert_eq!(did_you_mean("expire", known), "");
    }

    #[test]
    fn spelled_puts_together_what_belongs_together() {
        for text in
            ["x: Foo<'_>", "a: &'x [&str]", "f: impl Fn(u8, &str) -> Vec<u8> + 'x", "p: &mut std::fmt::Formatter<'_>"]
        {
            assert_eq!(spelled(&text.parse::<proc_macro2::TokenStream>().unwrap()), text);
        }
    }

    #[test]
    fn distance_counts_a_swap_once() {
        assert_eq!(distance("kye", "key"), 1);
        assert_eq!(distance("tags", "tag"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
