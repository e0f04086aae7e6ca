//! What the names in a template stand for.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Ident, LitStr};

use crate::diagnostics::did_you_mean;
use crate::item::{Generic, Item, Parameter};
use crate::spec::{KeySpec, Part};
use crate::template::{Argument, Segment, Step, Template};

/// The names that a function has for its templates.
pub(crate) struct Names<'a> {
    bindings: Vec<&'a Ident>,
    generics: &'a [Generic],
    receiver: Option<Span>,
    /// The argument whose elements have an entry each, and the name of one.
    batch: Option<(&'a Ident, &'a Ident)>,
    /// `key!`: any name is taken as it is.
    is_open: bool,
}

// === impl Names ===

impl<'a> Names<'a> {
    pub(crate) fn new(item: &'a Item, parameters: &'a [Parameter], generics: &'a [Generic]) -> Names<'a> {
        Names {
            bindings: parameters.iter().flat_map(|parameter| &parameter.bindings).collect(),
            generics,
            receiver: item.signature.receiver().map(|receiver| receiver.self_token.span),
            batch: None,
            is_open: false,
        }
    }

    /// `element` instead of `all`.
    pub(crate) fn of_each(mut self, element: &'a Ident, all: &'a Ident) -> Names<'a> {
        self.bindings.retain(|binding| *binding != all);
        self.bindings.push(element);
        self.batch = Some((all, element));
        self
    }

    /// For `key!`, which stands among the names that it uses.
    pub(crate) fn open() -> Names<'static> {
        Names { bindings: Vec::new(), generics: &[], receiver: None, batch: None, is_open: true }
    }

    pub(crate) fn is_binding(&self, ident: &Ident) -> bool {
        self.bindings.contains(&ident)
    }

    /// The arguments, as templates see them.
    pub(crate) fn bindings(&self) -> Vec<&'a Ident> {
        self.bindings.clone()
    }

    /// What `skip` may name.
    pub(crate) fn skippable(&self) -> Vec<String> {
        let generics = self.generics.iter().map(|generic| &generic.ident);
        self.bindings.iter().copied().chain(generics).map(ToString::to_string).collect()
    }

    /// The template with an expression for each argument.
    pub(crate) fn resolve(
        &self,
        krate: &TokenStream,
        template: Template,
        result_known: bool,
    ) -> Result<KeySpec, syn::Error> {
        let mut parts = Vec::new();
        let head = template.segments.iter().take_while(|segment| matches!(segment, Segment::Literal(_))).count();
        for segment in &template.segments[head..] {
            parts.push(match segment {
                Segment::Literal(text) => Part::Literal(text.clone()),
                Segment::Argument(argument) => self.argument(krate, argument, &template.literal, result_known)?,
            });
        }
        Ok(KeySpec { template, parts })
    }

    fn argument(
        &self,
        krate: &TokenStream,
        argument: &Argument,
        literal: &LitStr,
        result_known: bool,
    ) -> Result<Part, syn::Error> {
        let span = literal.span();
        let fail = |message: String| Err(syn::Error::new(span, message));
        let root = argument.root.as_str();
        if self.is_open {
            let root = match root.parse::<u64>() {
                Ok(number) => quote!(#number),
                Err(_) => ident(root, span, span).to_token_stream(),
            };
            return Ok(Part::Argument(taken(root, argument, span)));
        }
        if root == "it" {
            // An argument of that name has been refused already.
            if !result_known && !self.bindings.iter().any(|binding| *binding == "it") {
                return fail(
                    "`it` is the result, which is not known when the key is built; a key is made of arguments"
                        .to_owned(),
                );
            }
            return Ok(Part::Result(taken(it(span).to_token_stream(), argument, span)));
        }
        if root == "Self" || self.generic(root).is_some_and(|generic| !generic.is_const) {
            if !argument.is_whole() {
                return fail(format!("`{root}` is a type, which has no fields to put in a key; write `{{{root}}}`"));
            }
            let ty = ident(root, span, Span::call_site());
            return Ok(Part::Argument(quote!(#krate::__private::type_name::<#ty>())));
        }
        if root == "self" {
            let Some(receiver) = self.receiver else {
                return fail("there is no `self` here: this function has no receiver; name an argument".to_owned());
            };
            let root = Ident::new("self", receiver.located_at(span));
            return Ok(Part::Argument(taken(root.to_token_stream(), argument, span)));
        }
        if let Some((all, element)) = self.batch.filter(|(all, _)| *all == root) {
            return fail(format!(
                "`{all}` is all elements of the batch, and each has an entry of its own; write `{{{element}}}`"
            ));
        }
        let constant = self.generic(root).map(|generic| &generic.ident);
        let Some(known) = self.bindings.iter().copied().chain(constant).find(|known| *known == root) else {
            let mut known: Vec<_> = self.bindings.iter().map(ToString::to_string).collect();
            known.extend(self.generics.iter().map(|generic| generic.ident.to_string()));
            known.extend(self.receiver.map(|_| "self".to_owned()));
            let meant = did_you_mean(root, known.iter().map(String::as_str));
            return fail(format!("there is no argument `{root}`{meant}"));
        };
        let root = ident(root, span, known.span());
        Ok(Part::Argument(taken(root.to_token_stream(), argument, span)))
    }

    fn generic(&self, name: &str) -> Option<&Generic> {
        self.generics.iter().find(|generic| generic.ident == name)
    }
}

/// `it`, where a template writes it.
pub(crate) fn it(at: Span) -> Ident {
    Ident::new("it", Span::mixed_site().located_at(at))
}

/// A name that stands in a literal: it is where the literal is, and means what it means at `hygiene`.
fn ident(name: &str, at: Span, hygiene: Span) -> Ident {
    let span = hygiene.located_at(at);
    match name.strip_prefix("r#") {
        Some(raw) => Ident::new_raw(raw, span),
        None => Ident::new(name, span),
    }
}

/// The fields and methods that an argument takes of its root.
fn taken(root: TokenStream, argument: &Argument, span: Span) -> TokenStream {
    let mut out = root;
    for step in &argument.steps {
        let step = match step {
            Step::Field(name) => {
                let name = ident(name, span, Span::call_site());
                quote::quote_spanned!(span=> .#name)
            }
            Step::Index(index) => {
                let index = syn::Index { index: *index, span };
                quote::quote_spanned!(span=> .#index)
            }
            Step::Call(name) => {
                let name = ident(name, span, Span::call_site());
                quote::quote_spanned!(span=> .#name())
            }
        };
        out.extend(step);
    }
    out
}
