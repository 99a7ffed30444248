//! [`Cipher`], one key at work: AES-256-GCM-SIV (RFC 8452), which stays safe should a nonce ever repeat: then it shows
//! whether two texts in one place were equal, and nothing else.

use aes_gcm_siv::{
    Aes256GcmSiv, Nonce, Tag,
    aead::{AeadInOut, KeyInit},
};

/// One key.
pub(crate) struct Cipher {
    number: u16,
    aead: Aes256GcmSiv,
}

impl Cipher {
    /// Random bytes in front of each ciphertext.
    pub(crate) const NONCE: usize = 12;
    /// Behind it, what tells that key, text and associated data are as they were.
    pub(crate) const TAG: usize = 16;

    pub(crate) fn new(number: u16, key: &[u8; 32]) -> Self {
        Self { number, aead: Aes256GcmSiv::new(key.into()) }
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Encrypts `text` in place. What is to be written is the nonce, the text, and what this returns.
    pub(crate) fn seal(&self, nonce: [u8; Self::NONCE], associated: &[u8], text: &mut [u8]) -> [u8; Self::TAG] {
        // It refuses only texts past 64 GiB, and none here is longer than a file's buffer in memory may be.
        let sealed = self.aead.encrypt_inout_detached(&Nonce::from(nonce), associated, text.into());
        sealed.map_or([0; Self::TAG], Into::into)
    }

    /// Decrypts in place what was written, and returns where in it the text is; `None` if it was not sealed with this key
    /// and these associated data.
    pub(crate) fn open<'a>(&self, associated: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (nonce, rest) = sealed.split_first_chunk_mut::<{ Self::NONCE }>()?;
        let (text, tag) = rest.split_last_chunk_mut::<{ Self::TAG }>()?;
        let tag = Tag::from(*tag);
        self.aead.decrypt_inout_detached(&Nonce::from(*nonce), associated, (&mut *text).into(), &tag).ok()?;
        Some(text)
    }

    /// What tells this key from others: the tag of an empty text under `salt`, which is random and used for nothing else.
    pub(crate) fn check(&self, salt: &[u8; 16], context: &[u8]) -> [u8; Self::TAG] {
        let nonce = salt.first_chunk().copied().unwrap_or_default();
        let mut associated = b"flume key check".to_vec();
        associated.extend_from_slice(salt);
        associated.extend_from_slice(context);
        self.seal(nonce, &associated, &mut [])
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.check(&[0; 16], &[]) == other.check(&[0; 16], &[])
    }
}
