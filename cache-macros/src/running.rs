//! Where the body runs: in a task of its own or in its caller, as far as the spelling says; and what needs a task.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Expr, Ident, Pat, ReceiverKind};

use crate::args::{Args, Keyed};
use crate::boxed;
use crate::diagnostics::{Diagnostics, spelled};
use crate::item::{self, Generic, Item, Parameter, Passing};
use crate::spec::{Again, Lent, Running};

/// What is known of a function.
pub(crate) struct Function<'a> {
    pub(crate) item: &'a Item,
    pub(crate) parameters: &'a [Parameter],
    pub(crate) generics: &'a [Generic],
    pub(crate) krate: &'a TokenStream,
}

/// Where the body runs. An option that needs it in a task is reported, if the spelling says that it can't be there.
pub(crate) fn of(function: &Function<'_>, args: &Args, diagnostics: &mut Diagnostics) -> Running {
    let needed = needed(args);
    let why = if args.inline.is_some() {
        Some(("`inline` keeps the body in its caller".to_owned(), "leave `inline` away".to_owned()))
    } else if function.item.boxed.as_ref().is_some_and(|boxed| !boxed.is_send) {
        Some(("the future that this returns is not `Send`".to_owned(), "let it be `Send`".to_owned()))
    } else {
        function.borrowed()
    };
    if let (Some((option, does)), Some((why, way_out))) = (&needed, &why) {
        diagnostics.at(option, format!("`{option}` {does}, and {why}: {way_out}, or leave `{option}` away"));
    }
    // A reference in the result has been refused where it matters.
    if why.is_some() || function.item.output().is_some_and(item::has_reference) {
        return Running::Inline;
    }
    function.asked(needed.map(|(option, _)| option), args.warm_up.is_some())
}

/// The option that lets a load go on without its caller, and what it does.
fn needed(args: &Args) -> Option<(Ident, &'static str)> {
    let named = |option: &Option<Keyed<Expr>>| option.as_ref().map(|option| option.name.clone());
    let needing = [
        // The one that asks for most comes first.
        (args.warm_up.as_ref().map(|option| option.name.clone()), "loads again ahead of the next caller"),
        (named(&args.stale), "loads again in the background"),
        (named(&args.soft), "answers with the old value while the load goes on in the background"),
        (named(&args.hard), "gives up waiting while the load goes on in the background"),
    ];
    needing.into_iter().find_map(|(option, does)| Some((option?, does)))
}

// === impl Function ===

impl Function<'_> {
    /// What is seen to be borrowed in a way that can't be owned, and the way out.
    fn borrowed(&self) -> Option<(String, String)> {
        if matches!(self.item.receiver(), Some(Passing::Borrowed)) {
            let why = "`self` is borrowed from the caller in a way that can't be owned";
            let way_out = "take `&self`, `self: Arc<Self>` or `self: &Arc<Self>`";
            return Some((why.to_owned(), way_out.to_owned()));
        }
        if let Some(Generic { ident, .. }) = self.generics.iter().find(|generic| !generic.is_static) {
            return Some((format!("`{ident}` may stand for a borrow"), format!("say `{ident}: 'static`")));
        }
        let Parameter { pattern, ty, .. } =
            self.parameters.iter().find(|parameter| matches!(parameter.passing, Passing::Borrowed))?;
        let argument = spelled(&boxed::as_written(quote!(#pattern: #ty)));
        Some(if item::has_reference(ty) {
            (format!("`{argument}` is borrowed from the caller"), "take it owned".to_owned())
        } else {
            let way_out = "make it a type parameter that says `'static`".to_owned();
            (format!("`{argument}` may hold a borrow"), way_out)
        })
    }

    /// The questions to the types.
    fn asked(&self, needed_by: Option<Ident>, is_repeated: bool) -> Running {
        let krate = self.krate;
        let private = quote!(#krate::__private);
        let (mut questions, mut lent, mut again) = (Vec::new(), Vec::new(), Vec::new());
        let moved = if is_repeated { quote!(Repeated) } else { quote!(Moved) };
        if let Some(output) = self.item.output() {
            questions.push(quote!(#private::Moved<#output>));
        }
        match self.item.receiver() {
            Some(Passing::Lent(ty)) => {
                questions.push(quote!(#private::Lent<#ty>));
                let (outside, inside) = self.self_names();
                lent.push(Lent { outside, inside: syn::parse_quote!(#inside), ty: quote!(&#ty), is_option: false });
            }
            Some(_) => {
                let ty = self.receiver_type();
                questions.push(quote!(#private::#moved<#ty>));
                let (outside, inside) = self.self_names();
                again.push(Again { outside, inside });
            }
            None => {}
        }
        for parameter in self.parameters {
            let (ty, pattern) = (&parameter.ty, &parameter.pattern);
            let is_option = match &parameter.passing {
                Passing::Lent(inner) => {
                    questions.push(quote!(#private::Lent<#inner>));
                    false
                }
                Passing::LentOption => {
                    questions.push(quote!(#private::LentOption<#ty>));
                    true
                }
                Passing::Moved | Passing::Borrowed => {
                    questions.push(quote!(#private::#moved<#ty>));
                    let bindings = parameter.bindings.iter().cloned();
                    again.extend(bindings.map(|name| Again { outside: name.clone(), inside: name }));
                    continue;
                }
            };
            // `passing` gives these for a plain name only.
            if let Pat::Ident(name) = pattern {
                lent.push(Lent { outside: name.ident.clone(), inside: pattern.clone(), ty: quote!(#ty), is_option });
            }
        }
        for Generic { ident, is_const, .. } in self.generics {
            if !is_const {
                questions.push(quote!(#private::Moved<#ident>));
            }
        }
        Running::Asked { questions, lent, again: is_repeated.then_some(again), needed_by }
    }

    /// What `self` is called outside of the body, and in it.
    fn self_names(&self) -> (Ident, Ident) {
        let span = self.item.signature.receiver().map_or_else(Span::call_site, |receiver| receiver.self_token.span);
        (Ident::new("self", span), crate::rename::self_name(span))
    }

    /// The type of a `self` that is moved.
    fn receiver_type(&self) -> TokenStream {
        let typed = self.item.signature.receiver().and_then(|receiver| match &receiver.kind {
            ReceiverKind::Typed(_, ty) => Some(ty.to_token_stream()),
            _ => None,
        });
        typed.unwrap_or_else(|| quote!(Self))
    }
}
