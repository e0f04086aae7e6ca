//! `#[cache_put]` and `#[cache_evict]`: what is known before the body, and what only the result can name.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};

use super::{Locals, build, first_span, kind_of, ops, over_it, overrides, reached, result_closure, run, site_static};
use crate::spec::{KeySpec, Phase, Put, Spec, Write};

pub(super) fn function(spec: &Spec, names: &Locals, write: &Write) -> TokenStream {
    let Locals { private, site, kind, cache, plan, .. } = names;
    let (stored, first_tag) = write.put.as_ref().map_or((0, 0), |put| (put.tags.len(), put.keys.len()));
    // The entries come first, and then their tags: they are what their templates declare.
    let all: Vec<&KeySpec> = write
        .put
        .iter()
        .flat_map(|put| put.keys.iter().chain(&put.tags))
        .chain(&write.evict)
        .chain(&write.evict_tags)
        .collect();
    let templates: Vec<_> = all.iter().map(|key| key.template.normalised()).collect();
    let first_of_the_tags = if write.put.is_some() { first_tag } else { templates.len() };
    let statics = site_static(spec, names, false, &templates, first_of_the_tags);
    let kind_of = kind_of(spec, names);
    let mut options = TokenStream::new();
    let mut next = 0;
    if let Some(put) = &write.put {
        options.extend(put_options(spec, names, put));
        next = first_tag + stored;
    }
    options.extend(evictions(names, &write.evict, next, "evict"));
    options.extend(evictions(names, &write.evict_tags, next + write.evict.len(), "evict_tag"));
    for scope in &write.scopes {
        options.extend(quote!(.evict_scope(#scope)));
    }
    let phase = match write.phase {
        Phase::After => None,
        Phase::Before => Some(quote!(.before())),
        Phase::Both => Some(quote!(.both())),
    };
    let softly = write.softly.then(|| quote!(.softly()));
    let keep = write.keep_on_error.then(|| quote!(.keep_on_error()));
    let unit = write.unit.as_ref().map(|unit| {
        let unit = quote_spanned!(first_span(unit)=> &(#unit));
        quote!(.unit(#unit))
    });
    let reached = reached(
        spec,
        names,
        &quote!(#private::Ok(#private::Writing::new(&#site, #cache, #kind) #options #phase #softly #keep #unit)),
    );
    let run = run(spec, names, "write");
    quote! {
        #statics
        #kind_of
        #[allow(clippy::used_underscore_binding, reason = "generated")]
        let #plan = #reached;
        #run
    }
}

fn put_options(spec: &Spec, names: &Locals, put: &Put) -> TokenStream {
    let Locals { private, site, kind, .. } = names;
    let mut out = TokenStream::new();
    for (index, key) in put.keys.iter().enumerate() {
        let ops = ops(spec, names);
        if key.needs_result() {
            // Nothing could be acquired before the body: an insert only evicts.
            let closure = result_closure(names, [(key, index)]);
            let head = key.template.head();
            out.extend(quote!(.insert(#ops, #head, #closure)));
        } else {
            let key = build(names, key, index, &mut Vec::new());
            out.extend(quote!(.put(&#site, #ops, #key)));
        }
    }
    if put.keys.iter().all(KeySpec::needs_result) {
        return out;
    }
    let first = put.keys.len();
    let (before, after): (Vec<_>, Vec<_>) = put.tags.iter().enumerate().partition(|(_, tag)| !tag.needs_result());
    if !before.is_empty() {
        let tags = before.iter().map(|(index, tag)| build(names, tag, first + index, &mut Vec::new()));
        out.extend(quote!(.tags(#private::Vec::from([#(#tags),*]))));
    }
    if !after.is_empty() {
        let closure = result_closure(names, after.iter().map(|(index, tag)| (*tag, first + index)));
        out.extend(quote!(.result_tags(#closure)));
    }
    out.extend(overrides(names, &put.overrides));
    if let Some(unless) = &put.unless {
        let closure = over_it(unless);
        out.extend(quote!(.unless(#kind.unless(#closure))));
    }
    if let Some(rev) = &put.rev {
        out.extend(quote!(.rev(#rev)));
    }
    if let Some(version) = &put.version {
        let closure = over_it(version);
        out.extend(quote!(.version(#closure)));
    }
    out
}

/// `method` for what is known before the body, `method` and `_later` for what is not.
fn evictions(names: &Locals, keys: &[KeySpec], first: usize, method: &str) -> TokenStream {
    let mut out = TokenStream::new();
    for (index, key) in keys.iter().enumerate() {
        let index = first + index;
        if key.needs_result() {
            let method = Ident::new(&format!("{method}_later"), Span::call_site());
            let (head, closure) = (key.template.head(), result_closure(names, [(key, index)]));
            out.extend(quote!(.#method(#head, #closure)));
        } else {
            let method = Ident::new(method, Span::call_site());
            let key = build(names, key, index, &mut Vec::new());
            out.extend(quote!(.#method(#key)));
        }
    }
    out
}
