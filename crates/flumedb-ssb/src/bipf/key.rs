//! Names in objects for serde: text, and what can be told from its text (numbers, truth, variants without content).

use std::borrow::Cow;

use serde::{
    Deserializer,
    de::{IntoDeserializer, Visitor},
    ser::{Impossible, Serialize, Serializer},
};

use super::{
    ser::Failed,
    tag::Kind,
    value::{Content, Value},
    write::{put, refusal},
};

type Outcome<T, E = Failed> = std::result::Result<T, E>;

/// Writes a name.
pub(super) struct NameWriter<'a>(pub(super) &'a mut Vec<u8>);

fn no_name<T>() -> Outcome<T> {
    Err(refusal("a name in an object that is no text").into())
}

macro_rules! by_text {
    ($($method:ident $type:ty),*) => {
        $(fn $method(self, name: $type) -> Outcome<()> {
            self.serialize_str(&name.to_string())
        })*
    };
}

impl Serializer for NameWriter<'_> {
    type Ok = ();
    type Error = Failed;
    type SerializeSeq = Impossible<(), Failed>;
    type SerializeTuple = Impossible<(), Failed>;
    type SerializeTupleStruct = Impossible<(), Failed>;
    type SerializeTupleVariant = Impossible<(), Failed>;
    type SerializeMap = Impossible<(), Failed>;
    type SerializeStruct = Impossible<(), Failed>;
    type SerializeStructVariant = Impossible<(), Failed>;

    by_text! {
        serialize_bool bool, serialize_char char,
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_i128 i128,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_u128 u128
    }

    fn serialize_str(self, name: &str) -> Outcome<()> {
        Ok(put(self.0, Kind::String, name.as_bytes())?)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Outcome<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, name: &T) -> Outcome<()> {
        name.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, name: &T) -> Outcome<()> {
        name.serialize(self)
    }

    fn serialize_f32(self, _: f32) -> Outcome<()> {
        no_name()
    }

    fn serialize_f64(self, _: f64) -> Outcome<()> {
        no_name()
    }

    fn serialize_bytes(self, _: &[u8]) -> Outcome<()> {
        no_name()
    }

    fn serialize_none(self) -> Outcome<()> {
        no_name()
    }

    fn serialize_unit(self) -> Outcome<()> {
        no_name()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Outcome<()> {
        no_name()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Outcome<()> {
        no_name()
    }

    fn serialize_seq(self, _: Option<usize>) -> Outcome<Self::SerializeSeq> {
        no_name()
    }

    fn serialize_tuple(self, _: usize) -> Outcome<Self::SerializeTuple> {
        no_name()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Outcome<Self::SerializeTupleStruct> {
        no_name()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Outcome<Self::SerializeTupleVariant> {
        no_name()
    }

    fn serialize_map(self, _: Option<usize>) -> Outcome<Self::SerializeMap> {
        no_name()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Outcome<Self::SerializeStruct> {
        no_name()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Outcome<Self::SerializeStructVariant> {
        no_name()
    }
}

/// A name as text: an atom has the name that JavaScript gives its value, or its number.
pub(super) fn name_text(name: Value<'_>) -> Cow<'_, str> {
    match name.content() {
        Some(Content::Text(text)) => Cow::Borrowed(text),
        Some(Content::Null) => Cow::Borrowed("null"),
        Some(Content::Undefined) => Cow::Borrowed("undefined"),
        Some(Content::Bool(truth)) => Cow::Owned(truth.to_string()),
        Some(Content::Atom(number)) => Cow::Owned(number.to_string()),
        _ => Cow::Borrowed(""),
    }
}

/// Reads a name.
pub(super) struct NameReader<'de>(Cow<'de, str>);

impl<'de> NameReader<'de> {
    pub(super) fn new(name: Value<'de>) -> Self {
        Self(name_text(name))
    }
}

macro_rules! from_text {
    ($($method:ident $visit:ident),*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
            match self.0.parse() {
                Ok(name) => visitor.$visit(name),
                Err(_) => self.deserialize_any(visitor),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for NameReader<'de> {
    type Error = Failed;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match self.0 {
            Cow::Borrowed(name) => visitor.visit_borrowed_str(name),
            Cow::Owned(name) => visitor.visit_string(name),
        }
    }

    from_text! {
        deserialize_bool visit_bool,
        deserialize_i8 visit_i8, deserialize_i16 visit_i16, deserialize_i32 visit_i32, deserialize_i64 visit_i64,
        deserialize_i128 visit_i128,
        deserialize_u8 visit_u8, deserialize_u16 visit_u16, deserialize_u32 visit_u32, deserialize_u64 visit_u64,
        deserialize_u128 visit_u128
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Outcome<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Outcome<V::Value> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    serde::forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
