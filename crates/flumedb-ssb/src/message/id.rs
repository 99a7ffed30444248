//! Names of authors, messages and signatures: a sigil, base64, and a suffix that says what the bytes are.

use base64::{Engine, engine::general_purpose::STANDARD};

pub(super) fn message(hash: &[u8]) -> String {
    format!("%{}.sha256", STANDARD.encode(hash))
}

pub(super) fn author_key(id: &str) -> Option<[u8; 32]> {
    bytes(id.strip_prefix('@')?.strip_suffix(".ed25519")?)
}

pub(super) fn message_hash(id: &str) -> Option<[u8; 32]> {
    bytes(id.strip_prefix('%')?.strip_suffix(".sha256")?)
}

pub(super) fn signature(text: &str) -> Option<[u8; 64]> {
    bytes(text.strip_suffix(".sig.ed25519")?)
}

/// Whether it is the name of something of another kind: `ssb:…`, or with another suffix.
pub(super) fn is_foreign(id: &str, sigil: char, kind: &str) -> bool {
    let named = id.strip_prefix(sigil).and_then(|rest| rest.split_once('.'));
    id.starts_with("ssb:") || named.is_some_and(|(_, suffix)| suffix != kind)
}

fn bytes<const N: usize>(base64: &str) -> Option<[u8; N]> {
    // Nothing longer is worth decoding.
    if base64.len() != N.div_ceil(3) * 4 {
        return None;
    }
    STANDARD.decode(base64).ok()?.try_into().ok()
}
