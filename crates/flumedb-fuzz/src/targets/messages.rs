//! Scuttlebutt messages.

use flumedb::{Bytes, codec::JsonDoc};
use flumedb_ssb::{
    Message,
    message::{self, Canonical, multi::Multi},
};

/// Takes the bytes for the payload of a log of messages.
pub fn message(bytes: &[u8]) {
    if let Ok(document) = message::document(&Bytes::copy_from_slice(bytes)) {
        look(&document);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(canonical) = Canonical::of(text)
    {
        let again = Canonical::of(canonical.as_str()).expect("a canonical text is JSON");
        assert_eq!(again.as_str(), canonical.as_str(), "the canonical text of a canonical text is itself");
        assert_eq!(again.key(), canonical.key());
        assert!(canonical.unsigned().len() <= canonical.as_str().len());
    }
}

/// Takes the bytes for a message of go-ssb.
pub fn multimsg(bytes: &[u8]) {
    let Ok(multi) = Multi::decode(bytes) else { return };
    if let Ok(document) = multi.to_document() {
        look(&document);
        drop(Multi::from_document(&document));
    }
    let encoded = multi.encode().expect("what was decoded can be encoded");
    let again = Multi::decode(&encoded).expect("what was encoded can be decoded");
    // By its encoding, as a time may be no number.
    assert_eq!(again.encode().unwrap(), encoded);
}

fn look(document: &JsonDoc) {
    let message = Message::new(document);
    drop((message.key(), message.author(), message.sequence(), message.previous(), message.kind()));
    let _ = (message.timestamp(), message.arrival());
    drop(message::verify(document));
}
