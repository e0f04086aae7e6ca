//! The expansion of `batch`: a plan for each element, and the body as a closure over those that are missing.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Pat, Type};

use super::{Locals, edge, first_span, key_of, kind_of, ops, output_span, proof, reached, read_options, read_statics};
use crate::spec::{Batch, Read, Spec};

pub(super) fn function(spec: &Spec, names: &Locals, read: &Read) -> TokenStream {
    let (Some(batch), Some(body)) = (&read.batch, &spec.item.body) else { return TokenStream::new() };
    let Batch { element, all, .. } = batch;
    let local = |name: &str| Ident::new(name, Span::mixed_site());
    let (ids, missing, many) = (local("__cache_ids"), local("__cache_missing"), local("__cache_each"));
    let Locals { private, site, cache, plan, .. } = names;
    let statics = read_statics(spec, names, read);
    let kind_of = kind_of(spec, names);
    let each = proof(names, "batch", output_span(spec));
    // From here on the kind is that of one element.
    let names = Locals { private: private.clone(), kind: many.clone(), ..Locals::new(&spec.krate) };
    let (ops, key, options) = (ops(spec, &names), key_of(&names, &read.name), read_options(&names, read));
    let of_one = quote!(#private::Plan::new(&#site, #cache, #key.finish(), __cache_ops, #many) #options);
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

/// What is missing, by the name and the type that the argument has.
fn shadow(batch: &Batch, missing: &Ident) -> TokenStream {
    let Batch { inside, ty, .. } = batch;
    let borrow = matches!(ty, Type::Reference(_)).then(|| quote!(&));
    let inside: &Pat = inside;
    quote! {
        #[allow(unused_variables, unused_mut, reason = "generated")]
        let #inside: #ty = #borrow #missing;
    }
}
