//! What `batch` asks of a function, and which options it goes with.

use proc_macro2::{Group, Ident, Span, TokenTree};
use syn::{Expr, Pat, Type};

use super::{Check, first_value, first_word};
use crate::args::{Args, Each};
use crate::diagnostics::{Diagnostics, did_you_mean};
use crate::item::{self, Item, Parameter};
use crate::spec::Batch;

/// The argument whose elements have an entry each. What is wrong with it, or does not go with it, is reported.
pub(super) fn of(
    each: &Each,
    args: &Args,
    item: &Item,
    parameters: &[Parameter],
    diagnostics: &mut Diagnostics,
) -> Option<Batch> {
    refuse_options(args, diagnostics);
    if !args.has("key") {
        diagnostics.here(
            Span::call_site(),
            format!("`batch` needs a `key` over one element: the same template as that of the function that finds one, like `key = \"product:{{{}}}\"`", each.element),
        );
    }
    refuse_exclusive(each, item, parameters, diagnostics);
    let Each { element, all } = each;
    let bindings = || parameters.iter().flat_map(|parameter| &parameter.bindings);
    if element == "it" {
        diagnostics.at(element, "in this attribute `it` is the result; give the element another name");
        return None;
    }
    if bindings().any(|binding| binding == element) {
        diagnostics.at(element, format!("`{element}` is an argument already; give the element a name of its own"));
        return None;
    }
    let Some(parameter) = parameters.iter().find(|parameter| parameter.bindings.contains(all)) else {
        let names: Vec<_> = bindings().map(ToString::to_string).collect();
        let meant = did_you_mean(&all.to_string(), names.iter().map(String::as_str));
        diagnostics.at(all, format!("there is no argument `{all}`{meant}"));
        return None;
    };
    let Pat::Ident(inside) = &parameter.pattern else {
        diagnostics.at(&parameter.pattern, format!("`{all}` is a part of this argument; let it be one by itself"));
        return None;
    };
    if first_word(&parameter.ty, "impl").is_some() || item::has_mut_reference(&parameter.ty) {
        diagnostics.at(
            &parameter.ty,
            format!("the body gets those elements of `{all}` that are missing, in an argument of the same type: take a `&[Id]`, a `Vec<Id>` or a `&Vec<Id>`"),
        );
        return None;
    }
    let mut ty = parameter.ty.clone();
    if let Type::Reference(reference) = &mut ty {
        reference.lifetime = None;
    }
    Some(Batch { element: element.clone(), all: inside.ident.clone(), inside: parameter.pattern.clone(), ty })
}

/// The body of a batch stays in its caller, and its error is that of no single key.
fn refuse_options(args: &Args, diagnostics: &mut Diagnostics) {
    const IN_CALLER: &str = "and the body of a batch stays in its caller";
    let in_background = [
        (&args.stale, "loads again in the background", "for old values where a load fails there is `fail_safe`"),
        (&args.soft, "lets a load go on in the background", "for old values where a load fails there is `fail_safe`"),
        (&args.hard, "lets a load go on in the background", "put a timeout into the body"),
    ];
    for (option, does, instead) in in_background {
        if let Some(option) = option {
            let name = &option.name;
            diagnostics.at(name, format!("`{name}` {does}, {IN_CALLER}: leave `{name}` away; {instead}"));
        }
    }
    if let Some(warm_up) = &args.warm_up {
        let message = format!(
            "`warm_up` loads a key again ahead of its next caller, {IN_CALLER}: leave `warm_up` away; a function of one element can have it"
        );
        diagnostics.at(&warm_up.name, message);
    }
    if let Some(cache_err) = &args.cache_err {
        diagnostics.at(
            &cache_err.name,
            "the error of a batch is that of all its elements, so none is cached for one of them: leave `cache_err` away",
        );
    }
}

/// A body that may run more than once, each time on what is missing then, borrows its arguments and shares them.
fn refuse_exclusive(each: &Each, item: &Item, parameters: &[Parameter], diagnostics: &mut Diagnostics) {
    let message = "the body of a batch may run more than once, so it only borrows its arguments, and this is `&mut`: take a pool or a handle by `&`";
    if let Some(receiver) = item.signature.receiver().filter(item::has_mut_reference) {
        diagnostics.at(receiver, message);
    }
    for parameter in parameters {
        if !parameter.bindings.contains(&each.all) && item::has_mut_reference(&parameter.ty) {
            diagnostics.at(&parameter.ty, message);
        }
    }
}

impl Check<'_> {
    pub(super) fn is_element(&self, ident: &Ident) -> bool {
        self.batch.is_some_and(|batch| batch.element == *ident)
    }

    pub(super) fn element_not_in_the_key(&mut self, element: &Ident, is_in_part: bool) {
        let what = if is_in_part {
            format!("only a part of `{element}` is in the key: elements that differ in the rest")
        } else {
            format!("`{element}` is not in the key: all elements")
        };
        self.diagnostics.at(element, format!("{what} would share one entry; add `{{{element}}}` to the key"));
    }

    /// Why the batch can't be skipped, if that is what is skipped.
    pub(super) fn skips_a_batch(&self, ident: &Ident) -> Option<String> {
        let batch = self.batch.filter(|batch| batch.all == *ident || batch.element == *ident)?;
        let element = &batch.element;
        Some(format!(
            "each `{element}` of the batch has an entry of its own, so the key must name it; take `{ident}` out of `skip`"
        ))
    }

    pub(super) fn when_before_the_elements(&mut self, when: &Expr) {
        let Some(batch) = self.batch else { return };
        if let Some(element) = first_value(when, &batch.element.to_string()) {
            let message = format!(
                "`when` decides once, for the whole batch, so there is no `{element}` yet; decide over `{}`",
                batch.all
            );
            self.diagnostics.at(element, message);
        }
    }
}

/// A body without `let name = name;` at its head, which `#[async_trait]` writes for each argument: it would move what a body
/// that may run again only borrows.
pub(super) fn borrowing(body: &Group, parameters: &[Parameter]) -> Group {
    let tokens: Vec<TokenTree> = body.stream().into_iter().collect();
    let mut left = Vec::with_capacity(tokens.len());
    let mut rest = &tokens[..];
    while let [first, others @ ..] = rest {
        rest = match rest {
            [
                TokenTree::Ident(word),
                TokenTree::Ident(to),
                TokenTree::Punct(equals),
                TokenTree::Ident(from),
                TokenTree::Punct(end),
                others @ ..,
            ] if word == "let"
                && to == from
                && equals.as_char() == '='
                && end.as_char() == ';'
                && parameters.iter().any(|parameter| parameter.bindings.contains(to)) =>
            {
                others
            }
            _ => {
                left.push(first.clone());
                others
            }
        };
    }
    let mut borrowing = Group::new(body.delimiter(), left.into_iter().collect());
    borrowing.set_span(body.span());
    borrowing
}
