//! [`Segment`], an immutable piece of the index: the words of some entries, made by tantivy.

use std::{
    ops::Range,
    path::Path,
    sync::{Arc, OnceLock},
};

use flumedb::{Bytes, Damage, Error, Result, view::Place};
use tantivy::{
    Directory, Index, IndexSettings, SegmentReader, TantivyDocument,
    columnar::ColumnValues,
    directory::TerminatingWrite,
    fastfield::{AliveBitSet, write_alive_bitset},
    index::SegmentId,
    indexer::{AddOperation, SegmentWriter, merge_filtered_segments},
    schema::Field,
};

use super::{attempt, bits::Dead, files::Files, form::Form};

/// A piece of the index. Its number says how old it is among the others; its documents may be gone, which is kept beside
/// it ([`Dead`]).
pub(crate) struct Segment {
    pub(super) number: u64,
    pub(super) files: Files,
    pub(super) bytes: u64,
    pub(crate) docs: u32,
    /// Whether its documents are in the order of their seqs.
    pub(crate) sorted: bool,
    pub(crate) reader: SegmentReader,
    index: Index,
    seqs: Arc<dyn ColumnValues<u64>>,
    /// How many words all its documents have in each field, as far as scores can tell.
    lengths: OnceLock<Vec<u64>>,
}

/// The name of a segment's files, as tantivy gives them names.
pub(super) fn name(number: u64) -> String {
    format!("{number:032x}")
}

fn id(number: u64) -> tantivy::Result<SegmentId> {
    SegmentId::from_uuid_string(&name(number))
        .map_err(|error| tantivy::TantivyError::InvalidArgument(error.to_string()))
}

fn index(form: &Form, files: &Files) -> tantivy::Result<Index> {
    Index::builder()
        .schema(form.schema.clone())
        .settings(settings())
        .tokenizers(form.tokenizers.clone())
        .open_or_create(files.clone())
}

/// What tantivy is told besides the schema: one thread, and nothing to compress.
pub(super) fn settings() -> IndexSettings {
    IndexSettings {
        docstore_compression: tantivy::store::Compressor::None,
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    }
}

impl Segment {
    /// The segment that these files are.
    pub(super) fn open(form: &Form, files: Files, number: u64, docs: u32, sorted: bool) -> tantivy::Result<Self> {
        let index = index(form, &files)?;
        let segment = index.segment(index.new_segment_meta(id(number)?, docs));
        let reader = SegmentReader::open(&segment)?;
        let seqs = reader.fast_fields().u64(Form::SEQ)?.first_or_default_col(0);
        let bytes = files.bytes();
        Ok(Self { number, files, bytes, docs, sorted, reader, index, seqs, lengths: OnceLock::new() })
    }

    /// The same segment, read from the disk from now on.
    pub(super) fn stored(&self, form: &Form, place: &Place) -> Result<Self> {
        let name = name(self.number);
        self.files.store(place, &name)?;
        attempt(&place.dir, || Self::open(form, self.files.clone(), self.number, self.docs, self.sorted))
    }

    /// One segment with the living documents of several.
    pub(super) fn merged(form: &Form, parts: &[(Arc<Self>, Dead)], number: u64) -> tantivy::Result<Self> {
        let mut segments = Vec::new();
        let mut alive = Vec::new();
        for (part, dead) in parts {
            segments.push(part.index.segment(part.index.new_segment_meta(id(part.number)?, part.docs)));
            alive.push(if dead.is_empty() { None } else { Some(alive_set(dead, part.docs)?) });
        }
        let files = Files::default();
        let merged = merge_filtered_segments(&segments, settings(), alive, files.clone())?;
        let docs = parts.iter().map(|(part, dead)| part.docs.saturating_sub(dead.count())).sum();
        drop(merged);
        let ranges: Vec<_> = parts.iter().map(|(part, _)| part.seqs()).collect();
        let ordered = ranges.windows(2).all(|pair| matches!(pair, [a, b] if a.end <= b.start));
        let sorted = ordered && parts.iter().all(|(part, _)| part.sorted);
        Self::open(form, files, number, docs, sorted)
    }

    /// The seq of a document.
    pub(crate) fn seq(&self, doc: u32) -> u64 {
        self.seqs.get_val(doc)
    }

    /// What range its seqs lie in.
    pub(crate) fn seqs(&self) -> Range<u64> {
        self.seqs.min_value()..self.seqs.max_value().saturating_add(1)
    }

    /// The documents of entry `seq`; all but one of them are gone.
    pub(super) fn find(&self, seq: u64) -> Vec<u32> {
        if self.docs == 0 || !self.seqs().contains(&seq) {
            return Vec::new();
        }
        if !self.sorted {
            return (0..self.docs).filter(|doc| self.seq(*doc) == seq).collect();
        }
        let (mut from, mut to) = (0, self.docs);
        while from < to {
            let middle = from + (to - from) / 2;
            if self.seq(middle) < seq {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        (from..self.docs).take_while(|doc| self.seq(*doc) == seq).collect()
    }

    /// How many words the documents have in each of `fields`, without those that are gone. In steps, as scores know it:
    /// so it is the same whatever was deleted and merged.
    pub(crate) fn lengths(&self, fields: &[Field], dead: &Dead) -> tantivy::Result<Vec<u64>> {
        let norms = || fields.iter().map(|field| self.reader.fieldnorms_readers().get_field(*field));
        let all = match self.lengths.get() {
            Some(all) => all,
            None => {
                let mut all = Vec::new();
                for norms in norms() {
                    all.push(norms?.map_or(0, |norms| (0..self.docs).map(|doc| u64::from(norms.fieldnorm(doc))).sum()));
                }
                self.lengths.get_or_init(|| all)
            }
        };
        let mut lengths = all.clone();
        if !dead.is_empty() {
            for (length, norms) in lengths.iter_mut().zip(norms()) {
                let gone: u64 = norms?.map_or(0, |norms| dead.iter().map(|doc| u64::from(norms.fieldnorm(doc))).sum());
                *length = length.saturating_sub(gone);
            }
        }
        Ok(lengths)
    }
}

/// tantivy's set of what is not gone.
fn alive_set(dead: &Dead, docs: u32) -> tantivy::Result<AliveBitSet> {
    let mut bytes = Vec::new();
    write_alive(dead, docs, &mut bytes)?;
    Ok(AliveBitSet::open(tantivy::directory::OwnedBytes::new(bytes)))
}

fn write_alive(dead: &Dead, docs: u32, to: &mut impl std::io::Write) -> std::io::Result<()> {
    let mut alive = tantivy::BitSet::with_max_value_and_full(docs);
    dead.iter().for_each(|doc| alive.remove(doc));
    write_alive_bitset(&alive, to)
}

/// The file that says which documents are left, as tantivy keeps it.
pub(super) fn dead_bytes(form: &Form, dead: &Dead, docs: u32, path: &Path) -> Result<Vec<u8>> {
    attempt(path, || {
        let files = Files::default();
        let index = index(form, &files)?;
        let mut writer = index.directory().open_write(Path::new(ALIVE))?;
        write_alive(dead, docs, &mut writer)?;
        writer.terminate()?;
        // With the footer that tantivy puts behind it.
        Ok(files.get_file_handle(Path::new(ALIVE))?.read_bytes(0..files.bytes() as usize)?.to_vec())
    })
}

/// The documents that such a file says are gone.
pub(super) fn read_dead(form: &Form, path: &Path, bytes: Bytes, docs: u32) -> Result<Dead> {
    let damaged = |reason: &str| Error::corrupt(Damage::new(path, 0, 0, reason));
    let alive = attempt(path, || {
        let files = Files::of(ALIVE, bytes.to_vec());
        let index = index(form, &files)?;
        if !index.directory().validate_checksum(Path::new(ALIVE))? {
            return Ok(None);
        }
        let bytes = index.directory().open_read(Path::new(ALIVE))?.read_bytes()?;
        Ok(Some(AliveBitSet::open(bytes)))
    })?
    .ok_or_else(|| damaged("its checksum is wrong"))?;
    if alive.bitset().max_value() != docs {
        return Err(damaged("it is about another segment"));
    }
    let mut dead = Dead::default();
    (0..docs).filter(|doc| alive.is_deleted(*doc)).for_each(|doc| dead.insert(doc, docs));
    Ok(dead)
}

/// What such a file is called where it is alone.
const ALIVE: &str = "alive.del";

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
