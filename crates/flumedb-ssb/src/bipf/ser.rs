//! Writing serde types.

use std::fmt;

use flumedb::{Error, ErrorKind, Result};
use serde::ser::{self, Serialize, SerializeMap, SerializeSeq, SerializeStruct};

use super::{
    check::check_inside,
    encoded,
    key::NameWriter,
    number,
    tag::Kind,
    write::{close, put, put_number, refusal, within_depth},
};

/// Appends `value` to `out`.
///
/// A number that is whole and fits 32 bits is an INT, `1.0` too, all others are DOUBLEs. Whole numbers that would not read as
/// the same again are refused, as are numbers that are not finite. Members keep the order in which the type gives them.
/// Types that have a form for people take it, as in JSON.
///
/// # Errors
/// `Invalid` if it has no representation; `out` is as it was then.
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    value.serialize(Writer { out, depth: 0, verbatim: false }).map_err(|Failed(error)| {
        out.truncate(start);
        error
    })
}

/// A value as BIPF. [`encode`] says how.
///
/// ```
/// use flumedb_ssb::bipf;
/// #[derive(serde::Serialize)]
/// struct Vote { value: f64, expression: &'static str }
/// let bytes = bipf::to_vec(&Vote { value: 1.0, expression: "like" })?;
/// assert_eq!(bytes, b"\xdd\x01\x28value\x22\x01\0\0\0\x50expression\x20like");
/// # Ok::<(), flumedb::Error>(())
/// ```
///
/// # Errors
/// `Invalid` if it has no representation.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    encode(value, &mut out)?;
    Ok(out)
}

/// An [`Error`] for serde.
#[derive(Debug)]
pub(super) struct Failed(pub(super) Error);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failed {}

impl ser::Error for Failed {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Error::new(ErrorKind::Invalid, format!("cannot be written as BIPF: {message}")))
    }
}

impl serde::de::Error for Failed {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Error::new(ErrorKind::Invalid, format!("not the BIPF expected: {message}")))
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

fn rounded() -> Failed {
    refusal("a whole number that would be rounded").into()
}

type Written<T = (), E = Failed> = std::result::Result<T, E>;

/// Writes one value.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// How many containers it stands in.
    depth: usize,
    /// Bytes are a value already.
    verbatim: bool,
}

/// Writes what stands in a container, and then its tag.
struct Inside<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
    kind: Kind,
    start: usize,
    /// Where the object around it starts that names the variant of an enum.
    around: Option<usize>,
}

impl<'a> Writer<'a> {
    fn put(self, kind: Kind, body: &[u8]) -> Written {
        Ok(put(self.out, kind, body)?)
    }

    fn whole(self, whole: impl Into<i128>) -> Written {
        match number::double(whole.into()) {
            Some(float) => Ok(put_number(self.out, float)?),
            None => Err(rounded()),
        }
    }

    fn open(self, kind: Kind) -> Written<Inside<'a>> {
        within_depth(self.depth)?;
        let start = self.out.len();
        Ok(Inside { out: self.out, depth: self.depth + 1, kind, start, around: None })
    }

    /// Opens a container that is the only member of an object, named as the variant.
    fn open_variant(self, variant: &str, kind: Kind) -> Written<Inside<'a>> {
        let Inside { out, depth, start: around, .. } = self.open(Kind::Object)?;
        put(out, Kind::String, variant.as_bytes())?;
        let inside = Writer { out, depth, verbatim: false }.open(kind)?;
        Ok(Inside { around: Some(around), ..inside })
    }
}

impl Inside<'_> {
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        value.serialize(Writer { out: self.out, depth: self.depth, verbatim: false })
    }

    fn name<T: Serialize + ?Sized>(&mut self, name: &T) -> Written {
        name.serialize(NameWriter(self.out))
    }

    fn close(self) -> Written {
        close(self.out, self.start, self.kind)?;
        match self.around {
            Some(around) => Ok(close(self.out, around, Kind::Object)?),
            None => Ok(()),
        }
    }
}

macro_rules! whole_numbers {
    ($($method:ident $type:ty),*) => {
        $(fn $method(self, number: $type) -> Written {
            self.whole(number)
        })*
    };
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = Failed;
    type SerializeSeq = Inside<'a>;
    type SerializeTuple = Inside<'a>;
    type SerializeTupleStruct = Inside<'a>;
    type SerializeTupleVariant = Inside<'a>;
    type SerializeMap = Inside<'a>;
    type SerializeStruct = Inside<'a>;
    type SerializeStructVariant = Inside<'a>;

    whole_numbers! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_i128 i128,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64
    }

    fn serialize_u128(self, number: u128) -> Written {
        match i128::try_from(number) {
            Ok(number) => self.whole(number),
            Err(_) => Err(rounded()),
        }
    }

    fn serialize_f32(self, number: f32) -> Written {
        self.serialize_f64(f64::from(number))
    }

    fn serialize_f64(self, number: f64) -> Written {
        Ok(put_number(self.out, number)?)
    }

    fn serialize_bool(self, truth: bool) -> Written {
        self.put(Kind::Atom, &[u8::from(truth)])
    }

    fn serialize_char(self, character: char) -> Written {
        self.put(Kind::String, character.encode_utf8(&mut [0; 4]).as_bytes())
    }

    fn serialize_str(self, text: &str) -> Written {
        self.put(Kind::String, text.as_bytes())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Written {
        if self.verbatim {
            check_inside(bytes, self.depth)?;
            self.out.extend_from_slice(bytes);
            return Ok(());
        }
        // As JSON it is an array in an object.
        within_depth(self.depth + 1)?;
        self.put(Kind::Buffer, bytes)
    }

    fn serialize_none(self) -> Written {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        self.put(Kind::Atom, &[])
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Written {
        value.serialize(Writer { verbatim: name == encoded::NAME, ..self })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        let mut object = self.open(Kind::Object)?;
        object.name(variant)?;
        object.value(value)?;
        object.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Written<Inside<'a>> {
        self.open(Kind::Array)
    }

    fn serialize_tuple(self, _: usize) -> Written<Inside<'a>> {
        self.open(Kind::Array)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Written<Inside<'a>> {
        self.open(Kind::Array)
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Written<Inside<'a>> {
        self.open_variant(variant, Kind::Array)
    }

    fn serialize_map(self, _: Option<usize>) -> Written<Inside<'a>> {
        self.open(Kind::Object)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Written<Inside<'a>> {
        self.open(Kind::Object)
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Written<Inside<'a>> {
        self.open_variant(variant, Kind::Object)
    }
}

impl SerializeSeq for Inside<'_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.value(value)
    }

    fn end(self) -> Written {
        self.close()
    }
}

impl ser::SerializeTuple for Inside<'_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.value(value)
    }

    fn end(self) -> Written {
        self.close()
    }
}

impl ser::SerializeTupleStruct for Inside<'_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.value(value)
    }

    fn end(self) -> Written {
        self.close()
    }
}

impl ser::SerializeTupleVariant for Inside<'_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.value(value)
    }

    fn end(self) -> Written {
        self.close()
    }
}

impl SerializeMap for Inside<'_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Written {
        self.name(name)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.value(value)
    }

    fn end(self) -> Written {
        self.close()
    }
}

impl SerializeStruct for Inside<'_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Written {
        self.name(name)?;
        self.value(value)
    }

    fn end(self) -> Written {
        self.close()
    }
}

impl ser::SerializeStructVariant for Inside<'_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Written {
        SerializeStruct::serialize_field(self, name, value)
    }

    fn end(self) -> Written {
        self.close()
    }
}
