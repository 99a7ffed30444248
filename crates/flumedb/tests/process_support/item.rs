//! [`Item`], an entry that says itself what it is: so it is seen where it has other bytes, and whether its batch is whole.

use flumedb::codec::{Document, JsonDoc};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which process wrote it, which of its tasks, and in which batch of that task.
    pub life: u64,
    pub task: u64,
    pub batch: u64,
    /// Its place in the batch of so many.
    pub at: u64,
    pub of: u64,
}

impl Item {
    fn noise(self) -> u64 {
        let mut noise = 0xCBF2_9CE4_8422_2325;
        for part in [self.life, self.task, self.batch, self.at] {
            noise = (noise ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        }
        noise
    }

    pub fn key(self) -> u64 {
        self.noise() % 40
    }

    pub fn kind(self) -> &'static str {
        ["tide", "boat", "buoy"][(self.noise() >> 8) as usize % 3]
    }

    pub fn id(self) -> String {
        format!("{}.{}.{}.{}", self.life, self.task, self.batch, self.at)
    }

    /// The whole entry, of up to 1,200 bytes.
    pub fn text(self) -> String {
        let Self { life, task, batch, at, of } = self;
        let pad = "~".repeat((self.noise() >> 16) as usize % if batch.is_multiple_of(16) { 1_100 } else { 200 });
        format!(
            r#"{{"of":[{life},{task},{batch},{at},{of}],"key":{},"kind":"{}","id":"{}","pad":"{pad}"}}"#,
            self.key(),
            self.kind(),
            self.id()
        )
    }

    /// What an entry says it is.
    ///
    /// # Panics
    /// If that is not what its bytes are.
    pub fn of(doc: &JsonDoc) -> Self {
        let mut parts = Vec::new();
        doc.items(&["of"], &mut |part| parts.extend(part.integer(&[]).map(i64::cast_unsigned)));
        let [life, task, batch, at, of] = parts[..] else { panic!("{doc} is no entry of ours") };
        let item = Self { life, task, batch, at, of };
        assert_eq!(doc.as_str(), item.text(), "an entry has other bytes");
        item
    }

    /// The parts, as the program says them.
    pub fn parts(self) -> [u64; 5] {
        [self.life, self.task, self.batch, self.at, self.of]
    }
}
