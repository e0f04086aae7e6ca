//! The attributes, the derive and the key macro of `cache-core`, which re-exports them: use them from there.

mod args;
mod diagnostics;
mod duration;
mod expand;
mod item;
mod key;
mod key_part;
mod krate;
mod names;
mod rename;
mod spec;
mod template;
mod validate;

use args::{Args, Kind};
use diagnostics::{Diagnostics, beside};
use proc_macro::TokenStream;

/// Caches what an `async fn` returns.
#[proc_macro_attribute]
pub fn cacheable(options: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Cacheable, options, item)
}

/// Puts what an `async fn` returns into the cache.
#[proc_macro_attribute]
pub fn cache_put(options: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Put, options, item)
}

/// Evicts when an `async fn` has run.
#[proc_macro_attribute]
pub fn cache_evict(options: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Evict, options, item)
}

/// A key by hand.
#[proc_macro]
pub fn key(input: TokenStream) -> TokenStream {
    syn::parse(input).and_then(|input| key::expand(&input)).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a struct or an enum an argument of keys.
#[proc_macro_derive(KeyPart, attributes(key_part))]
pub fn key_part(item: TokenStream) -> TokenStream {
    syn::parse(item).and_then(|item| key_part::expand(&item)).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn attribute(kind: Kind, options: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    let mut diagnostics = Diagnostics::default();
    let args = Args::parse(kind, options.into(), &mut diagnostics);
    let parsed = match syn::parse2(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => {
            diagnostics.add(not_a_function(kind, &item, &error));
            return finish(diagnostics, &item);
        }
    };
    match validate::spec(kind, args, parsed, diagnostics) {
        Ok(spec) => expand::function(&spec).into(),
        Err(error) => beside(&error, &item).into(),
    }
}

fn finish(diagnostics: Diagnostics, item: &proc_macro2::TokenStream) -> TokenStream {
    match diagnostics.finish(None::<()>) {
        Ok(()) => item.clone().into(),
        Err(error) => beside(&error, item).into(),
    }
}

fn not_a_function(kind: Kind, item: &proc_macro2::TokenStream, error: &syn::Error) -> syn::Error {
    let word = |token: &proc_macro2::TokenTree| token.to_string();
    let holds_functions =
        item.clone().into_iter().any(|token| matches!(word(&token).as_str(), "impl" | "trait" | "mod"));
    let message = if holds_functions { "put it on each function that it is for".to_owned() } else { error.to_string() };
    syn::Error::new(error.span(), format!("{} goes on an `async fn`: {message}", kind.written()))
}
