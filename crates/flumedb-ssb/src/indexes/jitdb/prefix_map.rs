//! [`PrefixMap`], the records of each prefix, as JSON text. It is walked through and never held.

use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A map from a prefix to the records whose field begins with it.
#[derive(Clone, Debug)]
pub struct PrefixMap(Bytes);

impl PrefixMap {
    pub(in crate::indexes) fn new(body: Bytes) -> Result<Self, String> {
        let map = Self(body);
        map.walk(&mut |_, _| {})?;
        Ok(map)
    }

    /// Shows `visit` each prefix with each record of it.
    pub fn visit(&self, visit: &mut dyn FnMut(u32, u32)) {
        // It was walked through to its end when it was read.
        self.walk(visit).unwrap_or_default();
    }

    fn walk(&self, visit: &mut dyn FnMut(u32, u32)) -> Result<(), String> {
        let mut json = serde_json::Deserializer::from_slice(&self.0);
        let walked = Walk { visit, prefix: None }.deserialize(&mut json).and_then(|()| json.end());
        walked.map_err(|error| format!("it is no map of prefixes: {error}"))
    }
}

/// Visits the map, or the list of one prefix.
struct Walk<'a> {
    visit: &'a mut dyn FnMut(u32, u32),
    prefix: Option<u32>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        if self.prefix.is_some() { json.deserialize_seq(self) } else { json.deserialize_map(self) }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.prefix.is_some() { "a list of records" } else { "an object of prefixes" })
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let prefix = key.parse().map_err(|_| M::Error::custom("a prefix that is no u32"))?;
            map.next_value_seed(Walk { visit: &mut *self.visit, prefix: Some(prefix) })?;
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<(), S::Error> {
        let mut before = None;
        while let Some(record) = list.next_element::<u32>()? {
            if before >= Some(record) {
                return Err(S::Error::custom("records that do not ascend"));
            }
            before = Some(record);
            (self.visit)(self.prefix.unwrap_or_default(), record);
        }
        Ok(())
    }
}
