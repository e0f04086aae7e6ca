//! The expansion of `batch`: a plan for each element, and the body as a closure over those that are missing.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;

use super::{
    Locals, edge, error_options, first_span, key_of, kind_of, located, ops, output_span, reached, read_options,
    read_statics,
};
use crate::spec::{Batch, Read, Spec};

pub(super) fn function(spec: &Spec, names: &Locals, read: &Read) -> TokenStream {
    let (Some(batch), Some(body)) = (&read.batch, &spec.item.body) else { return TokenStream::new() };
    let Batch { element, all, .. } = batch;
    let local = |name: &str| Ident::new(name, Span::mixed_site());
    let (ids, missing, many) = (local("__cache_ids"), local("__cache_missing"), local("__cache_each"));
    let Locals { private, site, cache, plan, .. } = names;
    let statics = read_statics(spec, names, read);
    let kind_of = kind_of(spec, names);
    let each = each(spec, names);
    // From here on the kind is that of one element.
    let names = Locals { private: private.clone(), kind: many.clone(), ..Locals::new(&spec.krate) };
    let (ops, key) = (ops(spec, &names), key_of(&names, &read.name));
    let (options, on_errors) = (read_options(&names, read), error_options(&names, read));
    let of_one = quote!(#private::Plan::new(&#site, #cache, #key.finish(), __cache_ops, #many) #options #on_errors);
    let reached = reached(
        spec,
        &names,
        &quote! {
            let __cache_ops = #ops;
            #private::Ok(#many.plan(#cache, #ids, |#element| #of_one))
        },
    );
    let (edge, shadow, blamed) = (edge(spec), shadow(batch, &missing), first_span(&batch.ty));
    let argument = quote_spanned!(blamed=> &#all);
    quote! {
        #statics
        #kind_of
        let #many = #each;
        let #ids = #many.ids(#argument);
        #[allow(clippy::used_underscore_binding, reason = "generated")]
        let #plan = #reached;
        #many.answer(#plan, #ids, |#missing| async {
            let #missing = #missing;
            #shadow
            #edge
            #body
        }).await
    }
}

/// The proof that a map is returned, and one that says *nothing* in one way. That it is not is reported once, as all of it
/// stands where the user wrote the result.
fn each(spec: &Spec, names: &Locals) -> TokenStream {
    let Locals { private, kind, .. } = names;
    let at = output_span(spec);
    let private = located(private.clone(), at);
    let blamed = Ident::new("__cache_kind", at);
    let one_way = Ident::new("__cache_one_way", at);
    let call = quote_spanned!(at=> #private::batch(#blamed));
    quote!({
        use #private::{ViaOptions as _, ViaValues as _};
        let #blamed = #kind;
        (&&#blamed).#one_way();
        #call
    })
}

/// What is missing, by the name and the type that the argument has.
fn shadow(batch: &Batch, missing: &Ident) -> TokenStream {
    let Batch { inside, ty, .. } = batch;
    // Where the two do not fit, rustc blames the value.
    let value = Ident::new("__cache_missing", missing.span().located_at(first_span(ty)));
    let value =
        if matches!(ty, Type::Reference(_)) { quote_spanned!(first_span(ty)=> &#value) } else { quote!(#value) };
    quote! {
        #[allow(unused_variables, unused_mut, reason = "generated")]
        let #inside: #ty = #value;
    }
}
