//! The expansion. It takes a [`Spec`], in which every question is answered, so it cannot fail.
//!
//! Thin: name the site, the result's type and the key; ask the nearest tier; hand the rest to one function of the runtime
//! with the body, which stands in the expansion once.

mod batch;
mod behind;
mod write;

use proc_macro2::{Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, FnArg, Pat};

use crate::names;
use crate::rename::rename_self;
use crate::spec::{Again, CacheFrom, KeySpec, Lent, Naming, Overrides, Part, Read, Running, Spec, Work};

/// The function with the cache around its body.
pub(crate) fn function(spec: &Spec) -> TokenStream {
    let Spec { item, work, .. } = spec;
    let names = Locals::new(&spec.krate);
    let inner = match work {
        Work::Read(read) if read.batch.is_some() => batch::function(spec, &names, read),
        Work::Read(read) => read_function(spec, &names, read),
        Work::Write(write) => write::function(spec, &names, write),
        Work::Behind(behind) => behind::function(spec, &names, behind),
    };
    let (attributes, visibility) = (&item.attributes, &item.visibility);
    let mut signature = item.signature.clone();
    // What is bound again inside is `mut` there.
    for input in &mut signature.inputs {
        if let FnArg::Typed(typed) = input
            && let Pat::Ident(name) = &mut *typed.pat
            && is_bound_again(spec, &name.ident)
        {
            name.mutability = None;
        }
    }
    let body = match &item.boxed {
        None => inner,
        Some(boxed) => {
            let (private, at) = (&names.private, signature.fn_token.span);
            // In a form that another attribute takes apart again.
            let apart = boxed.apart.iter().map(|apart| &apart.statement);
            let block = quote_spanned!(at=> async move { #(#apart)* #inner });
            // What does not fit the box is reported at the user's `async`, too.
            located(quote!(#private::Box::pin), at).into_iter().chain(quote_spanned!(at=> (#block))).collect()
        }
    };
    quote!(#(#attributes)* #visibility #signature { #body })
}

fn is_bound_again(spec: &Spec, argument: &Ident) -> bool {
    let is_lent = match &spec.running {
        Running::Asked { lent, again, .. } => {
            let mut again = again.iter().flatten();
            lent.iter().any(|lent| lent.outside == *argument) || again.any(|again| again.outside == *argument)
        }
        Running::Inline => false,
    };
    let is_batch = match &spec.work {
        Work::Read(read) => read.batch.as_ref().is_some_and(|batch| batch.all == *argument),
        Work::Write(_) | Work::Behind(_) => false,
    };
    is_lent || is_batch
}

/// Whether the body runs again and again.
fn is_repeated(spec: &Spec) -> bool {
    matches!(&spec.running, Running::Asked { again: Some(_), .. })
}

/// The names that the expansion binds: hygienic, and prefixed for whoever reads it.
struct Locals {
    private: TokenStream,
    site: Ident,
    kind: Ident,
    cache: Ident,
    key: Ident,
    hit: Ident,
    plan: Ident,
}

impl Locals {
    fn new(krate: &TokenStream) -> Locals {
        let local = |name: &str| Ident::new(name, Span::mixed_site());
        Locals {
            private: quote!(#krate::__private),
            site: local("__CACHE_SITE"),
            kind: local("__cache_kind"),
            cache: local("__cache_in"),
            key: local("__cache_key"),
            hit: local("__cache_hit"),
            plan: local("__cache_plan"),
        }
    }
}

// === cacheable ===

fn read_function(spec: &Spec, names: &Locals, read: &Read) -> TokenStream {
    let Locals { private, site, kind, cache, key, hit, plan } = names;
    let statics = read_statics(spec, names, read);
    let kind_of = kind_of(spec, names);
    let ops = ops(spec, names);
    let key_of = key_of(names, &read.name);
    let (options, on_errors) = (read_options(names, read), error_options(names, read));
    let (probe, load) = if is_repeated(spec) { ("probe_warm", "load_warm") } else { ("probe", "load") };
    let probe = Ident::new(probe, Span::call_site());
    let reached = reached(
        spec,
        names,
        &quote! {
            let __cache_ops = #ops;
            let #key = match #private::#probe(#cache, #key_of, __cache_ops, #kind) {
                #private::ControlFlow::Break(#hit) => return #hit,
                #private::ControlFlow::Continue(#key) => #key,
            };
            #private::Ok(#private::Plan::new(&#site, #cache, #key, __cache_ops, #kind) #options #on_errors)
        },
    );
    let run = run(spec, names, load);
    quote! {
        #statics
        #kind_of
        #[allow(clippy::used_underscore_binding, reason = "generated")]
        let #plan = #reached;
        #run
    }
}

fn read_statics(spec: &Spec, names: &Locals, read: &Read) -> TokenStream {
    let mut templates = vec![match &read.name {
        Naming::Template(key) => key.template.normalised(),
        Naming::Private(arguments) => vec!["{}"; arguments.len()].join(":"),
    }];
    templates.extend(read.tags.iter().map(|tag| tag.template.normalised()));
    site_static(spec, names, matches!(read.name, Naming::Private(_)), &templates, 1)
}

/// The key, not finished yet.
fn key_of(names: &Locals, name: &Naming) -> TokenStream {
    let Locals { private, site, .. } = names;
    match name {
        Naming::Template(template) => under_way(names, template, 0, &mut Vec::new()),
        Naming::Private(arguments) => {
            let parts = arguments.iter().map(|argument| quote_spanned!(argument.span()=> .arg(&#argument)));
            quote!(#site.private(__cache_here, #private::type_name_of_val(&|| {})) #(#parts)*)
        }
    }
}

fn read_options(names: &Locals, read: &Read) -> TokenStream {
    let Locals { private, kind, .. } = names;
    let mut out = TokenStream::new();
    let (before, after): (Vec<_>, Vec<_>) = read.tags.iter().enumerate().partition(|(_, tag)| !tag.needs_result());
    if !before.is_empty() {
        let tags = before.iter().map(|(index, tag)| build(names, tag, index + 1, &mut Vec::new()));
        out.extend(quote!(.tags(#private::Vec::from([#(#tags),*]))));
    }
    if !after.is_empty() {
        let closure = result_closure(names, after.iter().map(|(index, tag)| (*tag, index + 1)));
        out.extend(quote!(.result_tags(#closure)));
    }
    out.extend(overrides(names, &read.overrides));
    if let Some(unless) = &read.unless {
        let closure = over_it(unless);
        out.extend(quote!(.unless(#kind.unless(#closure))));
    }
    if let Some(ttl_with) = &read.ttl_with {
        out.extend(quote!(.ttl_with(#ttl_with)));
    }
    if let Some(rev) = &read.rev {
        out.extend(quote!(.rev(#rev)));
    }
    out
}

fn error_options(names: &Locals, read: &Read) -> TokenStream {
    let Locals { private, kind, .. } = names;
    let mut out = TokenStream::new();
    if let Some((name, cache_err)) = &read.cache_err {
        let ops = proof(names, "error_ops", name.span());
        out.extend(quote!(.cache_err(#cache_err, #ops)));
    }
    match &read.share_err {
        Some(share_err) => out.extend(quote!(.share_err(|error| #private::shared(error, #share_err)))),
        None => out.extend(quote! {
            .share({
                use #private::{ViaClone as _, ViaNothing as _};
                (&&#private::Sharing::of(#kind)).__cache_share()
            })
        }),
    }
    out
}

// === the parts ===

/// What the call site keeps between calls.
fn site_static(spec: &Spec, names: &Locals, is_private: bool, templates: &[String], first_tag: usize) -> TokenStream {
    let Locals { private, site, .. } = names;
    let name = spec.item.signature.ident.to_string();
    // The path of this function tells it from all others, whatever `impl` or function it stands in.
    let here = is_private.then(|| {
        quote!(
            fn __cache_here() {}
        )
    });
    quote! {
        #here
        static #site: #private::Site = #private::Site::new(
            #private::core::concat!(#private::core::module_path!(), "::", #name),
            #private::core::file!(),
            #private::core::line!(),
            #private::core::column!(),
            &[#(#templates),*],
            #first_tag,
        );
    }
}

/// `Result`, `Option` or a plain value, told by type.
fn kind_of(spec: &Spec, names: &Locals) -> TokenStream {
    let (Locals { private, kind, .. }, output) = (names, &spec.output);
    quote! {
        let #kind = {
            #[allow(clippy::wildcard_imports, reason = "generated: nothing in there has a name")]
            use #private::rungs::*;
            (&&&&#private::Returned::<#output>::NEW).__cache_kind()
        };
    }
}

/// The cache, if there is one and `when` agrees; then `found`, with the cache at hand.
fn reached(spec: &Spec, names: &Locals, found: &TokenStream) -> TokenStream {
    let Locals { private, cache, .. } = names;
    let source = match &spec.cache {
        CacheFrom::Expression(expression) => {
            let cache = quote_spanned!(first_span(expression)=> &(#expression));
            quote!(reach(#cache))
        }
        CacheFrom::Field => {
            let span = spec.item.signature.receiver().map_or_else(Span::call_site, |receiver| receiver.self_token.span);
            let (this, field) = (Ident::new("self", span), Ident::new("cache", span));
            quote!(reach(&#this.#field))
        }
        CacheFrom::Installed => quote!(reach_installed(&#private::installed())),
    };
    let aside = spec.when.as_ref().map(|_| {
        quote! {
            #private::Ok(#cache) => #private::Err(#private::stand_aside(#cache)),
        }
    });
    let aside_for = Ident::new("__cache_aside", Span::mixed_site());
    let guard = spec.when.as_ref().map(|when| quote!(if #when));
    quote! {
        match #private::#source {
            #private::Ok(#cache) #guard => { #found }
            #aside
            #private::Err(#aside_for) => #private::Err(#aside_for),
        }
    }
}

/// Runs the body, inline or in a task, by `method` of what was told.
fn run(spec: &Spec, names: &Locals, method: &str) -> TokenStream {
    let Locals { private, plan, .. } = names;
    let Some(body) = &spec.item.body else { return TokenStream::new() };
    let edge = edge(spec);
    // A body that can't go to a task is reported at the user's `async`, which `#[async_trait]` has put where `fn` is.
    let signature = &spec.item.signature;
    let at = signature.asyncness.map_or(signature.fn_token.span, |word| word.span);
    let [how, future, method] = ["__cache_how", "__cache_body", method].map(|name| Ident::new(name, at));
    let future_of = |lend: &[TokenStream], body: &Group| {
        let block = quote_spanned!(at=> async move { #(#lend)* #edge #body });
        quote! {
            #[allow(unused_braces, reason = "generated")]
            let #future = #block;
        }
    };
    match &spec.running {
        Running::Inline => {
            let future_of = future_of(&[], body);
            quote! {
                #future_of
                #private::Inline.#method(#plan, #future).await
            }
        }
        Running::Asked { questions, lent, again, needed_by } => {
            let asked = questions.iter().rev().fold(quote!(()), |rest, question| quote!((#question, #rest)));
            let (own, lend): (Vec<_>, Vec<_>) =
                lent.iter().enumerate().map(|(index, lent)| owned(lent, index, &how)).unzip();
            let once = future_of(&lend, &renamed(body, lent, again.as_deref().unwrap_or_default()));
            let future_of = match again {
                None => once,
                Some(again) => {
                    let shared = (0..lent.len()).map(own_name);
                    let shared: Vec<_> = shared.collect();
                    let again = again.iter().map(|again| one_more(again, &how));
                    quote! {
                        #(let #shared = #private::Arc::new(#shared);)*
                        let #future = move || {
                            #(let #shared = #private::Arc::clone(&#shared);)*
                            #(#again)*
                            #once
                            #future
                        };
                    }
                }
            };
            let call = quote_spanned!(at=> #how.#method(#plan, #future).await);
            // Where the types say no, rustc blames the argument.
            let blamed = Ident::new("__cache_asked", needed_by.as_ref().map_or_else(Span::call_site, Ident::span));
            let required = needed_by.as_ref().map(|_| quote!(#private::in_background(#blamed);));
            quote! {
                let #blamed = &#private::Ask::<#asked>::NEW;
                #required
                let #how = {
                    use #private::{ViaInline as _, ViaTask as _};
                    (&#blamed).__cache_how()
                };
                #(#own)*
                #future_of
                #call
            }
        }
    }
}

/// Unreachable, but it settles the type of the block: a wrong end of the body is one error, at the user's expression. Where it
/// is returned, rustc says which type the body must have.
fn edge(spec: &Spec) -> TokenStream {
    let (settled, output) = (Ident::new("__cache_edge", output_span(spec)), &spec.output);
    quote! {
        #[allow(
            unreachable_code, unused_variables, clippy::diverging_sub_expression, clippy::empty_loop, clippy::needless_return,
            reason = "generated"
        )]
        if false {
            let #settled: #output = loop {};
            return #settled;
        }
    }
}

/// Owning an argument outside, and lending it to the body inside.
fn owned(lent: &Lent, index: usize, how: &Ident) -> (TokenStream, TokenStream) {
    let Lent { outside, inside, ty, is_option } = lent;
    let own = own_name(index);
    let method = if *is_option { quote!(own_option) } else { quote!(own) };
    (
        quote! {
            #[allow(clippy::used_underscore_binding, reason = "generated")]
            let #own = #how.#method(#outside);
        },
        quote! {
            #[allow(unused_variables, reason = "generated")]
            let #inside: #ty = #own.lend();
        },
    )
}

fn own_name(index: usize) -> Ident {
    Ident::new(&format!("__cache_own{index}"), Span::mixed_site())
}

/// One more of an argument that was moved in, for one more time that the body runs.
fn one_more(again: &Again, how: &Ident) -> TokenStream {
    let Again { outside, inside } = again;
    quote! {
        #[allow(unused_variables, unused_mut, clippy::used_underscore_binding, reason = "generated")]
        let mut #inside = #how.again(&#outside);
    }
}

fn renamed(body: &Group, lent: &[Lent], again: &[Again]) -> Group {
    let lent = lent.iter().find(|lent| lent.outside == "self").and_then(|lent| match &lent.inside {
        Pat::Ident(to) => Some(&to.ident),
        _ => None,
    });
    let again = again.iter().find(|again| again.outside == "self").map(|again| &again.inside);
    lent.or(again).map_or_else(|| body.clone(), |to| rename_self(body, to))
}

/// The key of the template at `index`. Arguments that must wait for the result are written down in `kept`.
fn build(names: &Locals, key: &KeySpec, index: usize, kept: &mut Vec<TokenStream>) -> TokenStream {
    let under_way = under_way(names, key, index, kept);
    quote!(#under_way.finish())
}

/// The same key, not finished yet.
fn under_way(names: &Locals, key: &KeySpec, index: usize, kept: &mut Vec<TokenStream>) -> TokenStream {
    let Locals { private, site, .. } = names;
    let span = key.template.literal.span();
    let waits = key.needs_result();
    let parts = key.parts.iter().map(|part| match part {
        Part::Literal(text) => quote!(.literal(#text)),
        Part::Argument(expression) if waits => {
            let name = Ident::new(&format!("__cache_part{index}_{}", kept.len()), Span::mixed_site());
            kept.push(quote_spanned!(span=> let #name = #private::KeptPart::of(&#expression);));
            quote!(.arg(&#name))
        }
        Part::Argument(expression) | Part::Result(expression) => quote_spanned!(span=> .arg(&#expression)),
    });
    let parts: Vec<_> = parts.collect();
    quote!(#site.start(#index) #(#parts)*)
}

/// A closure from the result to keys.
fn result_closure<'a>(names: &Locals, keys: impl IntoIterator<Item = (&'a KeySpec, usize)>) -> TokenStream {
    let private = &names.private;
    let mut kept = Vec::new();
    let it = names::it(Span::call_site());
    let keys: Vec<_> = keys.into_iter().map(|(key, index)| build(names, key, index, &mut kept)).collect();
    quote!({ #(#kept)* move |#it| #private::Vec::from([#(#keys),*]) })
}

/// A closure over the user's own `it`.
fn over_it(expression: &Expr) -> TokenStream {
    first_it(expression.to_token_stream()).map_or_else(|| quote!(|_| #expression), |it| quote!(|#it| #expression))
}

fn first_it(tokens: TokenStream) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        proc_macro2::TokenTree::Ident(word) if word == "it" => Some(word),
        proc_macro2::TokenTree::Group(group) => first_it(group.stream()),
        _ => None,
    })
}

fn overrides(names: &Locals, overrides: &Overrides) -> TokenStream {
    let Overrides { ttl, l1, negative, stale, fail_safe, soft, hard, warm_up } = overrides;
    let durations = [
        ("ttl", ttl),
        ("l1", l1),
        ("negative", negative),
        ("stale", stale),
        ("fail_safe", fail_safe),
        ("soft", soft),
        ("warm_up", warm_up),
    ];
    let mut out = TokenStream::new();
    for (method, duration) in durations {
        let method = Ident::new(method, Span::call_site());
        out.extend(duration.iter().map(|duration| quote!(.#method(#duration))));
    }
    if let Some((name, hard)) = hard {
        let timed_out = proof(names, "timed_out", name.span());
        out.extend(quote!(.hard(#hard, #timed_out)));
    }
    out
}

/// The proof that the value can be cached; that it can't is reported where the user wrote the result's type.
fn ops(spec: &Spec, names: &Locals) -> TokenStream {
    proof(names, "value_ops", output_span(spec))
}

/// What a function of the runtime asks of the kind's types, with a failure reported at `span`.
fn proof(names: &Locals, asked: &str, span: Span) -> TokenStream {
    let Locals { private, kind, .. } = names;
    // rustc blames the argument, so it must stand where the user wrote something.
    let (blamed, asked) = (Ident::new("__cache_kind", span), Ident::new(asked, Span::call_site()));
    quote!({
        let #blamed = #kind;
        #private::#asked(#blamed)
    })
}

/// The same tokens, meaning the same, in another place.
fn located(tokens: TokenStream, at: Span) -> TokenStream {
    let moved = tokens.into_iter().map(|mut token| {
        token.set_span(token.span().located_at(at));
        token
    });
    moved.collect()
}

fn output_span(spec: &Spec) -> Span {
    first_span(&spec.output)
}

fn first_span(tokens: &impl ToTokens) -> Span {
    tokens.to_token_stream().into_iter().next().map_or_else(Span::call_site, |token| token.span())
}
