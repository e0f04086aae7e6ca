//! `key!`: a key by hand, from the attributes' own templates.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::LitStr;
use syn::parse::{Parse, ParseStream};

use crate::krate;
use crate::names::Names;
use crate::spec::Part;
use crate::template::{Of, Template};

/// `"product:{id}"`, and where `cache-core` is if it is re-exported.
pub(crate) struct Input {
    literal: LitStr,
    krate: Option<syn::Path>,
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Input> {
        let literal = input.parse().map_err(|error| {
            syn::Error::new(error.span(), "expected a template in quotes, like `key!(\"product:{id}\")`")
        })?;
        let mut krate = None;
        if input.parse::<Option<syn::Token![,]>>()?.is_some() && !input.is_empty() {
            input.parse::<syn::Token![crate]>().map_err(|error| {
                syn::Error::new(error.span(), "an argument stands in the template, as in `key!(\"product:{id}\")`; only `crate = path` may follow")
            })?;
            input.parse::<syn::Token![=]>()?;
            krate = Some(input.call(syn::Path::parse_mod_style)?);
            input.parse::<Option<syn::Token![,]>>()?;
        }
        Ok(Input { literal, krate })
    }
}

/// An expression of type `Key`.
pub(crate) fn expand(input: &Input) -> Result<TokenStream, syn::Error> {
    let krate = krate::find(input.krate.as_ref())?;
    let template = Template::parse(&input.literal, Of::Key)?;
    let normalised = template.normalised();
    let key = Names::open().resolve(&krate, template, true)?;
    let span = input.literal.span();
    let parts = key.parts.iter().map(|part| match part {
        Part::Literal(text) => quote!(.literal(#text)),
        Part::Argument(expression) | Part::Result(expression) => quote_spanned!(span=> .arg(&#expression)),
    });
    let head = Ident::new("__CACHE_HEAD", Span::mixed_site());
    Ok(quote! {{
        static #head: #krate::__private::Head = #krate::__private::Head::new(#normalised);
        #head.start() #(#parts)* .finish()
    }})
}
