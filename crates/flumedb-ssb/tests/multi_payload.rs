//! Guards against a go-ssb log whose messages are read wrongly: the payload's bytes as the format has them, every message of
//! the sample there and back, and other bytes refused.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::{path::Path, sync::Arc};

use flumedb::{
    ErrorKind, Flume,
    codec::{JsonDoc, JsonDocs},
};
use flumedb_ssb::{
    Message, OffsetLog,
    message::{multi::Multi, verify},
};
use proptest::prelude::*;

fn sample() -> Vec<JsonDoc> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/ssb.offset");
    let db = Flume::with_log(Arc::new(OffsetLog::open(path).unwrap()), JsonDocs).blocking().unwrap();
    db.scan(..).blocking().map(|entry| entry.unwrap().value).collect()
}

fn small(previous: Option<[u8; 32]>) -> Multi<'static> {
    let json = "{\"content\":\"…\"}".into();
    Multi { author: [0xaa; 32], previous, key: [0xcc; 32], sequence: 300, received: 1.5e9, json }
}

/// The payload of `small`, put together by hand: `reference` is what stands for the message before.
fn by_hand(reference: &[u8], sequence: &[u8], received: &[u8]) -> Vec<u8> {
    let mut out = b"\x01\x86\x82\x58\x20".to_vec();
    out.extend([0xaa; 32]);
    out.extend(b"\x67ed25519");
    out.extend(reference);
    out.extend(b"\x82\x58\x20");
    out.extend([0xcc; 32]);
    out.extend(b"\x66sha256");
    out.extend(sequence);
    out.extend(received);
    out.extend(b"\x51{\"content\":\"\xe2\x80\xa6\"}");
    out
}

const SEQUENCE: &[u8] = b"\x19\x01\x2c";
const RECEIVED: &[u8] = b"\xc1\xfb\x41\xd6\x5a\x0b\xc0\x00\x00\x00";

#[test]
fn the_bytes_are_those_of_the_format() {
    assert_eq!(small(None).encode().unwrap(), by_hand(b"\xf6", SEQUENCE, RECEIVED));
    let before = [b"\x82\x58\x20".as_slice(), &[0xbb; 32], b"\x66sha256"].concat();
    assert_eq!(small(Some([0xbb; 32])).encode().unwrap(), by_hand(&before, SEQUENCE, RECEIVED));
}

#[test]
fn numbers_of_any_width_and_zeros_behind_are_read() {
    for sequence in [SEQUENCE, b"\x1a\0\0\x01\x2c", b"\x1b\0\0\0\0\0\0\x01\x2c"] {
        // As a double, as a float, and as whole seconds.
        for received in [RECEIVED, b"\xc1\xfa\x4e\xb2\xd0\x5e", b"\xc1\x1a\x59\x68\x2f\x00"] {
            let mut payload = by_hand(b"\xf6", sequence, received);
            assert_eq!(Multi::decode(&payload).unwrap(), small(None));
            payload.extend([0; 20]);
            assert_eq!(Multi::decode(&payload).unwrap(), small(None));
        }
    }
}

#[test]
fn every_message_of_the_sample_is_there_and_back_the_same() {
    for message in sample() {
        let stored = Multi::from_document(&message).unwrap();
        let payload = stored.encode().unwrap();
        let read = Multi::decode(&payload).unwrap();
        assert_eq!(read, stored);
        let back = read.to_document().unwrap();
        assert_eq!(verify(&back), Ok(()));
        let fields = |document| {
            let message = Message::new(document);
            (
                message.key(),
                message.author(),
                message.previous(),
                message.sequence(),
                message.kind(),
                message.timestamp(),
            )
        };
        assert_eq!(fields(&back), fields(&message));
        assert_eq!(back.part(&["value"]), message.part(&["value"]));
        let (one, two) = (Message::new(&back).arrival().unwrap(), Message::new(&message).arrival().unwrap());
        assert!((one - two).abs() < 0.001, "{one} {two}");
    }
}

#[test]
fn other_bytes_are_refused() {
    let kind = |payload: &[u8]| Multi::decode(payload).unwrap_err().kind();
    let whole = by_hand(b"\xf6", SEQUENCE, RECEIVED);
    for len in 0..whole.len() {
        assert_eq!(kind(&whole[..len]), ErrorKind::Invalid, "{len}");
    }
    let gabby = [b"\x02".as_slice(), &whole[1..]].concat();
    assert_eq!(kind(&gabby), ErrorKind::Unsupported);
    for first in [0, 3, b'{'] {
        assert_eq!(kind(&[&[first], &whole[1..]].concat()), ErrorKind::Invalid);
    }
    assert_eq!(kind(&[&whole[..], b"\0\x01"].concat()), ErrorKind::Invalid);
    for (sequence, received) in [
        (b"\x20".as_slice(), RECEIVED),                                     // negative
        (b"\x61x", RECEIVED),                                               // text
        (SEQUENCE, b"\xc0\xfb\x41\xd6\x5a\x0b\xc0\x00\x00\x00".as_slice()), // another tag
        (SEQUENCE, b"\xc1\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00"),            // not a number
        (SEQUENCE, b"\xc1\xf6"),                                            // null
    ] {
        assert_eq!(kind(&by_hand(b"\xf6", sequence, received)), ErrorKind::Invalid);
    }
    let blake = [b"\x82\x58\x20".as_slice(), &[0xbb; 32], b"\x66blake2"].concat();
    assert_eq!(kind(&by_hand(&blake, SEQUENCE, RECEIVED)), ErrorKind::Invalid);
    // A length of almost everything there is: nothing is set aside for it.
    let long = [&whole[..whole.len() - 18], b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff{}".as_slice()].concat();
    assert_eq!(kind(&long), ErrorKind::Invalid);
}

#[test]
fn a_value_that_is_no_json_makes_no_document() {
    for json in ["", "{", "1},\"key\":{", "{} {}"] {
        let message = Multi { json: json.into(), ..small(None) };
        assert_eq!(message.to_document().unwrap_err().kind(), ErrorKind::Invalid, "{json}");
    }
    let document = |text: &str| Multi::from_document(&JsonDoc::parse(text.to_owned()).unwrap());
    assert_eq!(document("{\"key\":\"%1.sha256\"}").unwrap_err().kind(), ErrorKind::Invalid);
}

proptest! {
    #[test]
    fn damage_never_panics(at in 0_usize..150, byte: u8, cut in 0_usize..150, tail: [u8; 8]) {
        let mut payload = by_hand(b"\xf6", SEQUENCE, RECEIVED);
        let len = payload.len();
        payload[at % len] = byte;
        payload.truncate(cut);
        payload.extend(tail);
        if let Ok(message) = Multi::decode(&payload) {
            let again = message.encode().unwrap();
            prop_assert_eq!(&Multi::decode(&again).unwrap(), &message);
            drop(message.to_document());
        }
    }

    #[test]
    fn any_bytes_never_panic(rest: Vec<u8>) {
        drop(Multi::decode(&[b"\x01\x86".as_slice(), &rest].concat()));
    }
}
