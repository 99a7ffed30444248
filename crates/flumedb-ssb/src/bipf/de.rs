//! Reading serde types.

use flumedb::{Error, ErrorKind, Result};
use serde::de::{
    self, Deserialize, DeserializeSeed, Error as _, IntoDeserializer, Visitor,
    value::{BorrowedStrDeserializer, SeqDeserializer},
};

use super::{
    check::check,
    children::{Members, Values},
    key::NameReader,
    number,
    ser::Failed,
    value::{Content, Value},
};

/// Reads a serde type, borrowing text and bytes where it wants to.
///
/// What JSON has no form for reads as [`to_json`](super::to_json) prints it, unless the type asks for bytes: a member that
/// is undefined is left out.
///
/// ```
/// use flumedb_ssb::bipf;
/// #[derive(serde::Deserialize)]
/// struct Vote<'a> { value: u64, expression: &'a str }
/// let bytes = b"\xdd\x01\x28value\x22\x01\0\0\0\x50expression\x20like";
/// let vote: Vote = bipf::from_slice(bytes)?;
/// assert_eq!((vote.value, vote.expression), (1, "like"));
/// # Ok::<(), flumedb::Error>(())
/// ```
///
/// # Errors
/// `Invalid` if `bytes` are not exactly one whole value, or one of another shape.
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T> {
    check(bytes)?;
    T::deserialize(Reader(Value::new(bytes)?)).map_err(|Failed(error)| error)
}

type Outcome<T, E = Failed> = std::result::Result<T, E>;

/// Reads one value.
#[derive(Clone, Copy)]
struct Reader<'de>(Value<'de>);

impl<'de> Reader<'de> {
    fn content(self) -> Outcome<Content<'de>> {
        self.0.content().ok_or_else(|| Error::new(ErrorKind::Invalid, "not BIPF: text is not UTF-8").into())
    }
}

/// An object in the place of what JSON has no form for, `{"type":…,"data":…}`: what Node.js makes of a buffer.
struct StandIn<'de> {
    kind: Option<&'static str>,
    data: Content<'de>,
}

impl<'de> StandIn<'de> {
    fn new(kind: &'static str, data: Content<'de>) -> Self {
        Self { kind: Some(kind), data }
    }
}

impl<'de> de::MapAccess<'de> for StandIn<'de> {
    type Error = Failed;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Outcome<Option<K::Value>> {
        let name = match (self.kind, &self.data) {
            (Some(_), _) => "type",
            (None, Content::Null) => return Ok(None),
            (None, _) => "data",
        };
        seed.deserialize(name.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Outcome<V::Value> {
        if let Some(kind) = self.kind.take() {
            return seed.deserialize(kind.into_deserializer());
        }
        match std::mem::replace(&mut self.data, Content::Null) {
            Content::Atom(number) => seed.deserialize(number.into_deserializer()),
            Content::Bytes(bytes) | Content::Extended(bytes) => seed.deserialize(octets(bytes)),
            _ => seed.deserialize(().into_deserializer()),
        }
    }
}

fn octets(bytes: &[u8]) -> SeqDeserializer<impl Iterator<Item = u8>, Failed> {
    SeqDeserializer::new(bytes.iter().copied())
}

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = Failed;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match self.content()? {
            Content::Null | Content::Undefined => visitor.visit_unit(),
            Content::Bool(truth) => visitor.visit_bool(truth),
            Content::Int(whole) => visitor.visit_i32(whole),
            Content::Double(float) => match number::whole(float) {
                Some(whole) => match (i64::try_from(whole), u64::try_from(whole)) {
                    (Ok(whole), _) => visitor.visit_i64(whole),
                    (_, Ok(whole)) => visitor.visit_u64(whole),
                    _ => visitor.visit_f64(float),
                },
                None => visitor.visit_f64(float),
            },
            Content::Text(text) => visitor.visit_borrowed_str(text),
            Content::Array(items) => visitor.visit_seq(Sequence(items)),
            Content::Object(members) => visitor.visit_map(Map { members, value: Value::NULL }),
            data @ Content::Bytes(_) => visitor.visit_map(StandIn::new("Buffer", data)),
            data @ Content::Atom(_) => visitor.visit_map(StandIn::new("Atom", data)),
            data @ Content::Extended(_) => visitor.visit_map(StandIn::new("Extended", data)),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match self.content()? {
            Content::Bytes(bytes) | Content::Extended(bytes) => visitor.visit_borrowed_bytes(bytes),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match self.content()? {
            Content::Bytes(bytes) | Content::Extended(bytes) => visitor.visit_seq(octets(bytes)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Outcome<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Outcome<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match self.content()? {
            Content::Null | Content::Undefined => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match self.content()? {
            Content::Double(float) if let Some(whole) = number::whole(float) => visitor.visit_i128(whole),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.deserialize_i128(visitor)
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
        match self.content()? {
            Content::Text(text) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
            Content::Object(mut members) => match (members.next(), members.next()) {
                (Some((name, value)), None) => visitor.visit_enum(Variant { name, value }),
                _ => Err(Failed::custom("a variant with content is an object of one member")),
            },
            _ => Err(Failed::custom("a variant is text or an object of one member")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string unit unit_struct map struct identifier
    }
}

struct Sequence<'de>(Values<'de>);

impl<'de> de::SeqAccess<'de> for Sequence<'de> {
    type Error = Failed;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Outcome<Option<T::Value>> {
        self.0.next().map(|item| seed.deserialize(Reader(item))).transpose()
    }
}

struct Map<'de> {
    members: Members<'de>,
    /// What belongs to the name that was given last.
    value: Value<'de>,
}

impl<'de> de::MapAccess<'de> for Map<'de> {
    type Error = Failed;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Outcome<Option<K::Value>> {
        let Some((name, value)) = self.members.find(|(_, value)| !value.is_undefined()) else { return Ok(None) };
        self.value = value;
        seed.deserialize(NameReader::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Outcome<V::Value> {
        seed.deserialize(Reader(self.value))
    }
}

/// A variant with content.
struct Variant<'de> {
    name: Value<'de>,
    value: Value<'de>,
}

impl<'de> de::EnumAccess<'de> for Variant<'de> {
    type Error = Failed;
    type Variant = Reader<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Outcome<(V::Value, Reader<'de>)> {
        Ok((seed.deserialize(NameReader::new(self.name))?, Reader(self.value)))
    }
}

impl<'de> de::VariantAccess<'de> for Reader<'de> {
    type Error = Failed;

    fn unit_variant(self) -> Outcome<()> {
        Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Outcome<T::Value> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Outcome<V::Value> {
        de::Deserializer::deserialize_seq(self, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Outcome<V::Value> {
        de::Deserializer::deserialize_any(self, visitor)
    }
}
