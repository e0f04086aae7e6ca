//! What `cache-core` is called where a macro is used.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Ident;

/// The path of `cache-core`: what `crate = ..` says, else the name it has in the manifest.
///
/// Inside `cache-core` itself it is `::cache_core` too: its `lib.rs` says `extern crate self as cache_core`.
pub(crate) fn find(named: Option<&syn::Path>) -> Result<TokenStream, syn::Error> {
    if let Some(path) = named {
        return Ok(quote!(#path));
    }
    let name = match crate_name("cache-core") {
        Ok(FoundCrate::Itself) => "cache_core".to_owned(),
        Ok(FoundCrate::Name(name)) => name,
        Err(_) => return Err(syn::Error::new(Span::call_site(), NOT_FOUND)),
    };
    let name = Ident::new(&name, Span::call_site());
    Ok(quote!(::#name))
}

const NOT_FOUND: &str = "`cache-core` is not among the dependencies of this package, and the expansion needs it; add it, or \
                         say where it is re-exported: `crate = path::to::cache_core`";
