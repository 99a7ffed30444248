//! [`Draft`], a segment that is being made.

use tantivy::{
    TantivyDocument,
    indexer::{AddOperation, SegmentWriter},
};

use super::{
    Dead, Form, Segment,
    files::Files,
    segment::{id, index},
};

/// A segment that is being made.
pub(super) struct Draft {
    writer: SegmentWriter,
    files: Files,
    number: u64,
    /// The seqs of its documents.
    seqs: Vec<u64>,
    sorted: bool,
    dead: Vec<u32>,
    /// Bytes of text since the memory was last asked for.
    unmeasured: usize,
}

impl Draft {
    /// tantivy makes its table of words as large as fits into this at first; it grows.
    const TABLE: usize = 100_000;
    /// The memory is asked for after so many bytes of text.
    const MEASURE: usize = 64 << 10;

    pub(super) fn new(form: &Form, number: u64) -> tantivy::Result<Self> {
        let files = Files::default();
        let index = index(form, &files)?;
        let segment = index.segment(index.new_segment_meta(id(number)?, 0));
        let writer = SegmentWriter::for_segment(Self::TABLE, segment)?;
        Ok(Self { writer, files, number, seqs: Vec::new(), sorted: true, dead: Vec::new(), unmeasured: 0 })
    }

    /// Adds the document of entry `seq`; says whether there is enough for a segment.
    pub(super) fn add(
        &mut self,
        seq: u64,
        document: TantivyDocument,
        text: usize,
        memory: usize,
    ) -> tantivy::Result<bool> {
        self.sorted &= self.seqs.last().is_none_or(|last| *last <= seq);
        self.seqs.push(seq);
        self.writer.add_document(AddOperation { opstamp: 0, document })?;
        self.unmeasured += text;
        if self.unmeasured < Self::MEASURE {
            return Ok(false);
        }
        self.unmeasured = 0;
        Ok(self.writer.mem_usage() > memory)
    }

    /// Takes back the document of entry `seq`, if it is here.
    pub(super) fn remove(&mut self, seq: u64) {
        let end = if self.sorted { self.seqs.partition_point(|of| *of <= seq) } else { self.seqs.len() };
        let mut rest = self.seqs.iter().take(end).rev().take_while(|of| !self.sorted || **of == seq);
        if let Some(behind) = rest.position(|of| *of == seq) {
            self.dead.push((end - 1 - behind) as u32);
        }
    }

    pub(super) fn finish(self, form: &Form) -> tantivy::Result<(Segment, Dead)> {
        let docs = self.writer.max_doc();
        self.writer.finalize()?;
        let mut dead = Dead::default();
        self.dead.into_iter().for_each(|doc| dead.insert(doc, docs));
        Ok((Segment::open(form, self.files, self.number, docs, self.sorted)?, dead))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]
mod tests {
    use super::*;
    use crate::Words;

    /// The failure: words are gathered without end, or a piece is made long before the memory is used.
    #[test]
    fn a_piece_is_made_when_its_memory_is_used() {
        let form = Form::new(&["text".to_owned()], Words::new()).unwrap();
        let empty = Draft::new(&form, 0).unwrap().writer.mem_usage();
        let mut sizes = Vec::new();
        for memory in [empty + (8 << 20), empty + (32 << 20)] {
            let mut draft = Draft::new(&form, 0).unwrap();
            let mut used = empty;
            for seq in 0.. {
                let text = (0..100).map(|word| format!("{seq}x{word}")).collect::<Vec<_>>().join(" ");
                let (bytes, looks) = (text.len(), draft.unmeasured + text.len() >= Draft::MEASURE);
                let full = draft.add(seq, form.document(seq, &[(0, text)]), bytes, memory).unwrap();
                if looks {
                    assert!(used <= memory, "it went on with {used} bytes of {memory}");
                    used = draft.writer.mem_usage();
                }
                assert_eq!(full, looks && used > memory, "{used} bytes of {memory}");
                if full {
                    break;
                }
            }
            // What holds its words doubles when it is full.
            assert!(used < 2 * memory, "{used} bytes of {memory}");
            sizes.push(draft.finish(&form).unwrap().0.docs);
        }
        assert!(sizes[1] > 2 * sizes[0], "four times the memory holds {sizes:?}");
    }
}
