//! `#[derive(KeyPart)]`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Fields, GenericParam, Generics, Ident, Item, ItemEnum, ItemStruct, Member};

use crate::krate;

/// The implementation for a struct or an enum.
pub(crate) fn expand(item: &Item) -> Result<TokenStream, syn::Error> {
    match item {
        Item::Struct(item) => structure(item),
        Item::Enum(item) => enumeration(item),
        other => Err(syn::Error::new_spanned(
            other,
            "a `KeyPart` is a struct or an enum: of a union it can't be told which field is meant",
        )),
    }
}

fn structure(item: &ItemStruct) -> Result<TokenStream, syn::Error> {
    let krate = krate::find(named_crate(&item.attrs)?.as_ref())?;
    let members: Vec<Member> = item.fields.members().collect();
    let parts = members.iter().zip(&item.fields).map(|(member, field)| {
        let span = field.ty.span();
        quote_spanned!(span=> #krate::__private::KeyWriter::part(__out, &self.#member);)
    });
    let parts = quote!(#(#parts)*);
    let body = match members.len() {
        0 => quote!(__out.nothing();),
        // A newtype reads as what it wraps.
        1 => parts,
        _ => quote!(__out.list(|__out| { #parts });),
    };
    Ok(implementation(&krate, &item.ident, &item.generics, &body))
}

fn enumeration(item: &ItemEnum) -> Result<TokenStream, syn::Error> {
    let krate = krate::find(named_crate(&item.attrs)?.as_ref())?;
    let arms = item.variants.iter().map(|variant| {
        let (ident, name) = (&variant.ident, variant.ident.to_string());
        let name = name.strip_prefix("r#").unwrap_or(&name);
        let bound: Vec<_> =
            (0..variant.fields.len()).map(|index| Ident::new(&format!("__field{index}"), Span::mixed_site())).collect();
        let members = variant.fields.members();
        let is_unit = matches!(variant.fields, Fields::Unit);
        let pattern = if is_unit { quote!(Self::#ident) } else { quote!(Self::#ident { #(#members: #bound),* }) };
        let parts =
            variant.fields.iter().zip(&bound).map(
                |(field, bound)| quote_spanned!(field.ty.span()=> #krate::__private::KeyWriter::part(__out, #bound);),
            );
        if bound.is_empty() {
            quote!(#pattern => __out.variant(#name, |_| {}),)
        } else {
            quote!(#pattern => __out.variant(#name, |__out| { #(#parts)* }),)
        }
    });
    let body = if item.variants.is_empty() { quote!(match *self {}) } else { quote!(match self { #(#arms)* }) };
    Ok(implementation(&krate, &item.ident, &item.generics, &body))
}

fn implementation(krate: &TokenStream, ident: &Ident, generics: &Generics, body: &TokenStream) -> TokenStream {
    let mut bounded = generics.clone();
    for param in &mut bounded.params {
        if let GenericParam::Type(param) = param {
            param.bounds.push(syn::parse_quote!(#krate::__private::KeyPart));
        }
    }
    let (of, _, given) = bounded.split_for_impl();
    let (_, to, _) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #of #krate::__private::KeyPart for #ident #to #given {
            fn write(&self, __out: &mut #krate::__private::KeyWriter) {
                #body
            }
        }
    }
}

/// `#[key_part(crate = path)]`.
fn named_crate(attributes: &[Attribute]) -> Result<Option<syn::Path>, syn::Error> {
    let mut found = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("key_part")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                let written = quote::ToTokens::to_token_stream(&meta.path);
                return Err(meta.error(format!(
                    "`#[key_part]` has no option `{written}`; it has `crate`, and no field can be left out: two keys would be alike"
                )));
            }
            found = Some(meta.value()?.call(syn::Path::parse_mod_style)?);
            Ok(())
        })?;
    }
    Ok(found)
}
