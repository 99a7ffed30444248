//! What `#[record(…)]` says.

use syn::{DeriveInput, Error, Expr, LitInt, LitStr, Path, Result, spanned::Spanned};

/// The attribute of the struct.
pub(crate) struct RecordAttributes {
    pub(crate) name: LitStr,
    pub(crate) version: Option<LitInt>,
    pub(crate) history: Option<Expr>,
    pub(crate) migrate: Option<Path>,
}

impl RecordAttributes {
    pub(crate) fn of(input: &DeriveInput) -> Result<Self> {
        let (mut name, mut version, mut history, mut migrate) = (None, None, None, None);
        let mut place = input.ident.span();
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("record")) {
            place = attribute.span();
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    name = Some(meta.value()?.parse::<LitStr>()?);
                } else if meta.path.is_ident("version") {
                    version = Some(meta.value()?.parse::<LitInt>()?);
                } else if meta.path.is_ident("history") {
                    history = Some(meta.value()?.parse::<Expr>()?);
                } else if meta.path.is_ident("migrate") {
                    migrate = Some(meta.value()?.parse::<Path>()?);
                } else {
                    return Err(meta.error("expected one of: name = \"…\", version = 2, migrate = path, history = …"));
                }
                Ok(())
            })?;
        }
        let Some(name) = name else {
            let message = "a record needs the name of its collection, which is stored: #[record(name = \"posts\")]";
            return Err(Error::new(place, message));
        };
        if name.value().is_empty() {
            return Err(Error::new(name.span(), "the name of a collection must not be empty"));
        }
        if let Some(version) = &version
            && version.base10_parse::<u32>()? == 0
        {
            return Err(Error::new(version.span(), "versions begin with 1"));
        }
        Ok(Self { name, version, history, migrate })
    }
}
