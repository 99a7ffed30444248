//! What the attributes of the fields say: which is the key, and which indexes there are.

use syn::{Data, DeriveInput, Error, Field, Fields, GenericArgument, Ident, PathArguments, Result, Type};

/// The fields that matter.
pub(crate) struct RecordFields<'a> {
    pub(crate) key: (&'a Ident, &'a Type),
    pub(crate) indexes: Vec<IndexField<'a>>,
}

/// A field with an index.
pub(crate) struct IndexField<'a> {
    pub(crate) name: &'a Ident,
    /// The type of a key of the index.
    pub(crate) key: &'a Type,
    /// Whether the field holds any number of keys.
    pub(crate) each: bool,
    pub(crate) unique: bool,
}

impl<'a> RecordFields<'a> {
    pub(crate) fn of(input: &'a DeriveInput) -> Result<Self> {
        let Data::Struct(data) = &input.data else {
            return Err(Error::new(input.ident.span(), "only a struct can be a record"));
        };
        let Fields::Named(fields) = &data.fields else {
            return Err(Error::new(input.ident.span(), "a record needs fields with names"));
        };
        let (mut key, mut indexes) = (None, Vec::new());
        for field in &fields.named {
            let Some(name) = &field.ident else { continue };
            let (is_key, index, unique) = (has(field, "key")?, has(field, "index")?, has(field, "unique")?);
            if is_key {
                if key.replace((name, &field.ty)).is_some() {
                    return Err(Error::new(
                        name.span(),
                        "a record has one #[key]; for a key of several parts use a tuple",
                    ));
                }
                if index || unique {
                    return Err(Error::new(name.span(), "the #[key] is found and unique without an index"));
                }
            }
            if index && unique {
                return Err(Error::new(name.span(), "a #[unique] field has an index already; leave #[index] out"));
            }
            if index || unique {
                let (each, key) = item(&field.ty).map_or((false, &field.ty), |item| (true, item));
                indexes.push(IndexField { name, key, each, unique });
            }
        }
        let missing =
            || Error::new(input.ident.span(), "a record needs a key: put #[key] on the field that identifies it");
        Ok(Self { key: key.ok_or_else(missing)?, indexes })
    }
}

/// Whether a field has this attribute, which takes nothing.
fn has(field: &Field, name: &str) -> Result<bool> {
    let mut found = field.attrs.iter().filter(|attribute| attribute.path().is_ident(name));
    let Some(attribute) = found.next() else { return Ok(false) };
    attribute.meta.require_path_only()?;
    Ok(true)
}

/// The type of what an `Option`, a `Vec` or a set holds.
fn item(ty: &Type) -> Option<&Type> {
    const MANY: [&str; 5] = ["Option", "Vec", "VecDeque", "BTreeSet", "HashSet"];
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| MANY.iter().any(|name| last.ident == name))?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(item) => Some(item),
        _ => None,
    }
}
