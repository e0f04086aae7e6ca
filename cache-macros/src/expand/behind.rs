//! `#[cache_put(behind = ..)]`: the body builds the value, the journal takes it.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::{Locals, build, first_span, kind_of, output_span, proof, result_closure, run, site_static};
use crate::spec::{Behind, Spec};

pub(super) fn function(spec: &Spec, names: &Locals, behind: &Behind) -> TokenStream {
    let Locals { private, kind, plan, .. } = names;
    let templates = [behind.key.template.normalised()];
    let statics = site_static(spec, names, false, &templates, templates.len());
    let kind_of = kind_of(spec, names);
    let journals = proof(names, "journals", output_span(spec));
    let says = proof(names, "says_not_journaled", behind.name.span());
    let handle = &behind.handle;
    let handle = quote_spanned!(first_span(handle)=> &(#handle));
    let key = if behind.key.needs_result() {
        let closure = result_closure(names, [(&behind.key, 0)]);
        quote!(.key_later(#closure))
    } else {
        let key = build(names, &behind.key, 0, &mut Vec::new());
        quote!(.key(#key))
    };
    let run = run(spec, names, "behind");
    quote! {
        #statics
        #kind_of
        #[allow(clippy::used_underscore_binding, reason = "generated")]
        let #plan = #private::Behind::new(#kind, #journals, #says, #handle) #key;
        #run
    }
}
