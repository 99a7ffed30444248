//! `#[derive(Record)]` for flumedb. Use it as `flumedb::Record`; it is documented there.

mod attributes;
mod expand;
mod field;

use proc_macro::TokenStream;

/// Makes a struct a record of a collection: see `flumedb::Record`.
#[proc_macro_derive(Record, attributes(record, key, index, unique))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    expand::expand(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}
