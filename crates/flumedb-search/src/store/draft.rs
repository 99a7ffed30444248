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
