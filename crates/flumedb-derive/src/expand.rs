//! The code that is written: an `impl Record`, and a trait with the methods of the indexes.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{DeriveInput, Error, Result, spanned::Spanned};

use crate::{
    attributes::RecordAttributes,
    field::{IndexField, RecordFields},
};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(Error::new(input.generics.span(), "a record must not be generic; each collection holds one type"));
    }
    let attributes = RecordAttributes::of(input)?;
    let fields = RecordFields::of(input)?;
    let implementation = implementation(&input.ident, &attributes, &fields);
    let methods = methods(input, &fields);
    Ok(quote! { #implementation #methods })
}

fn implementation(record: &Ident, attributes: &RecordAttributes, fields: &RecordFields<'_>) -> TokenStream {
    let RecordAttributes { name, version, history, migrate } = attributes;
    let version = version.as_ref().map(|version| quote! { const VERSION: u32 = #version; });
    let history = history.as_ref().map(|history| {
        quote! {
            const HISTORY: ::flumedb::collection::History = {
                #[allow(unused_imports)]
                use ::flumedb::collection::History::{All, Age, Last};
                #history
            };
        }
    });
    let migrate = migrate.as_ref().map(|migrate| {
        quote_spanned! { migrate.span() =>
            fn migrate(old: ::flumedb::collection::Old<'_>) -> ::flumedb::Result<Self> {
                #migrate(old)
            }
        }
    });
    let (key, key_type) = fields.key;
    let definitions = fields.indexes.iter().map(|IndexField { name, key, unique, .. }| {
        let text = text(name);
        let unique = unique.then(|| quote! { .unique() });
        quote_spanned! { key.span() => ::flumedb::collection::IndexDefinition::new::<#key>(#text) #unique }
    });
    let rows = fields.indexes.iter().map(|IndexField { name, key, each, .. }| {
        let text = text(name);
        if *each {
            quote_spanned! { key.span() => for key in self.#name.iter() { rows.add::<#key>(#text, key); } }
        } else {
            quote_spanned! { key.span() => rows.add::<#key>(#text, &self.#name); }
        }
    });
    quote! {
        #[automatically_derived]
        impl ::flumedb::collection::Record for #record {
            type Key = #key_type;
            const NAME: &'static str = #name;
            #version
            #history

            fn key(&self) -> #key_type {
                ::core::clone::Clone::clone(&self.#key)
            }

            fn indexes() -> ::std::vec::Vec<::flumedb::collection::IndexDefinition> {
                ::std::vec![#(#definitions),*]
            }

            #[allow(unused_variables)]
            fn index(&self, rows: &mut ::flumedb::collection::IndexRows) {
                #(#rows)*
            }

            #migrate
        }
    }
}

/// A trait, since methods cannot be added to a type of another crate.
fn methods(input: &DeriveInput, fields: &RecordFields<'_>) -> Option<TokenStream> {
    if fields.indexes.is_empty() {
        return None;
    }
    let (record, visibility) = (&input.ident, &input.vis);
    let name = format_ident!("{record}Indexes");
    let about = format!("Finds records of [`{record}`] by their indexes.");
    let (signatures, bodies): (Vec<_>, Vec<_>) = fields.indexes.iter().map(|index| method(record, index)).unzip();
    Some(quote! {
        #[doc = #about]
        #visibility trait #name {
            #(#signatures)*
        }

        #[automatically_derived]
        impl #name for ::flumedb::collection::Collection<#record> {
            #(#bodies)*
        }
    })
}

/// The methods of an index: as they stand in the trait, and with what they do.
fn method(record: &Ident, index: &IndexField<'_>) -> (TokenStream, TokenStream) {
    let IndexField { name, key, unique, .. } = index;
    let text = text(name);
    let (by, by_range) = (format_ident!("by_{text}"), format_ident!("by_{text}_range"));
    let about_range = format!("The records whose `{text}` is within `bounds`, in the order of it.");
    let one = if *unique {
        let about = format!("The record with this `{text}`.");
        let signature = quote! {
            #[doc = #about]
            fn #by(
                &self,
                key: impl ::flumedb::views::AsKey<#key>,
            ) -> ::flumedb::Call<'_, ::flumedb::Result<::core::option::Option<#record>>>
        };
        (quote! { #signature; }, quote! { #signature { self.by_unique::<#key>(#text, key) } })
    } else {
        let about = format!("The records with this `{text}`.");
        let signature = quote! {
            #[doc = #about]
            fn #by(&self, key: impl ::flumedb::views::AsKey<#key>) -> ::flumedb::collection::Find<#record>
        };
        (quote! { #signature; }, quote! { #signature { self.by_index::<#key>(#text, key) } })
    };
    let signature = quote! {
        #[doc = #about_range]
        fn #by_range<Q: ::flumedb::views::AsKey<#key>>(
            &self,
            bounds: impl ::core::ops::RangeBounds<Q>,
        ) -> ::flumedb::collection::Find<#record>
    };
    let (first, first_body) = one;
    (quote! { #first #signature; }, quote! { #first_body #signature { self.by_index_range::<#key, Q>(#text, bounds) } })
}

/// The name of a field, without what makes a keyword a name.
fn text(name: &Ident) -> String {
    let text = name.to_string();
    text.strip_prefix("r#").map_or_else(|| text.clone(), str::to_owned)
}
