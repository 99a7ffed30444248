//! [`tell`], which format the bytes at a path are: every layout is asked how far it explains them, and the one that gets
//! furthest is taken. What spoke for it, and where the others stopped, is kept in words.

use std::path::Path;

use flumedb::{
    Env, Error, ErrorKind, Result,
    env::{OpenMode, PathKind},
};

use super::{
    Format,
    open::Ready,
    place::{self, Place},
};
use crate::{
    Aaol, Aligned, Framing, Shape,
    file::{Access, Detected, FileLog, Layout, Source, detect},
    lines, offset2,
};

/// What is at a path, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Told {
    /// Its format.
    pub format: Format,
    /// Other formats that explain the bytes as well. With one of these nothing is appended unless the format is named.
    pub rivals: Vec<Format>,
    /// Why this format, in words for people: what speaks for it, and where the others stopped.
    pub evidence: Vec<String>,
}

/// Tells the format of what is at `path`. Changes nothing.
///
/// A file's length does not matter much: a layout that is not the file's stops within a few records.
///
/// # Errors
/// `NotFound` if there is nothing; `Unsupported` if no format fits, which for a directory names the logs in it; `Io`.
pub fn tell(env: &Env, path: impl AsRef<Path>) -> Result<Told> {
    Ok(look(env, path.as_ref())?.0)
}

fn look(env: &Env, path: &Path) -> Result<(Told, Option<Open>)> {
    match place::look(env, path)? {
        Place::Directory(format, evidence) => {
            let mut evidence = vec![evidence];
            if format == Format::Offset2 {
                evidence.push(offset2::evidence(env, path)?);
            }
            Ok((Told { format, rivals: Vec::new(), evidence }, None))
        }
        Place::File => {
            let source = Source::open(env, path.to_owned(), OpenMode::Read)?;
            let len = source.len()?;
            if len == 0 { Ok((empty(path), None)) } else { choose(path, findings(env, &source, len)?) }
        }
    }
}

/// Opens for reading what a layout has been over already.
pub(super) type Open = Box<dyn FnOnce(&Env) -> Result<Ready>>;

/// What to open.
pub(super) struct Found {
    pub(super) format: Format,
    pub(super) evidence: Vec<String>,
    /// There where the bytes have told.
    pub(super) open: Option<Open>,
}

impl Found {
    fn said(format: Format, evidence: String) -> Self {
        Self { format, evidence: vec![evidence], open: None }
    }
}

/// The format of what is at `path`, named or told; what is not there yet may be created.
pub(super) fn find(env: &Env, path: &Path, named: Option<Format>, access: Access) -> Result<Found> {
    let there = place::kind(env, path)?;
    if there.is_none() && access == Access::Create {
        return Ok(Found::said(named.unwrap_or(Format::Flume), "it is new".to_owned()));
    }
    if let (Some(format), Some(there)) = (named, there) {
        if format.is_directory() != (there == PathKind::Dir) {
            return Err(Error::new(ErrorKind::Invalid, misplaced(path, format)));
        }
        // What a creation that was interrupted has left is no log yet.
        let whole = access != Access::Create && format.is_directory();
        if whole && !matches!(place::look(env, path)?, Place::Directory(found, _) if found == format) {
            let message = format!("{} is a directory, but no {format} log", path.display());
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        refuse_another(env, path, format, access)?;
        return Ok(Found::said(format, format!("it was said to be {format}")));
    }
    let (Told { format, rivals, evidence }, open) = look(env, path)?;
    if access != Access::Read && !rivals.is_empty() {
        let rivals: Vec<String> = rivals.iter().map(|rival| format!(" or {rival}")).collect();
        let (path, rivals) = (path.display(), rivals.concat());
        let message =
            format!("{path} may be {format}{rivals}; nothing is written on a guess: say which, with --format");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(Found { format, evidence, open })
}

/// A file that is all of one format, from its first byte to its last, is not taken for another one. Nor is one written to
/// as a format that makes nothing of it while another does: all of it would be cut as a torn tail.
fn refuse_another(env: &Env, path: &Path, named: Format, access: Access) -> Result<()> {
    if named.is_directory() {
        return Ok(());
    }
    let source = Source::open(env, path.to_owned(), OpenMode::Read)?;
    let len = source.len()?;
    let findings = findings(env, &source, len)?;
    let of_others = |finding: &&Finding| finding.known && !finding.format.is_like(named);
    let holds = |holds: fn(&Finding) -> bool| findings.iter().any(|found| found.format.is_like(named) && holds(found));
    let other = match access {
        _ if holds(|finding| finding.whole) => None,
        Access::Append | Access::Create if !holds(|finding| finding.proved > 0) => {
            findings.iter().filter(of_others).find(|finding| finding.proved > 0)
        }
        _ => findings.iter().filter(of_others).find(|finding| finding.whole),
    };
    let Some(other) = other else { return Ok(()) };
    let (path, told) = (path.display(), other.format);
    let message = format!("{path} is no {named} log; leave the name out, or give the right one: {told}");
    Err(Error::new(ErrorKind::Invalid, message))
}

fn misplaced(path: &Path, format: Format) -> String {
    let path = path.display();
    match format {
        Format::Flume => format!("{path} is a file, and a flume database is a directory"),
        _ if format.is_directory() => format!("{path} is a file, and a log of the format {format} is a directory"),
        _ => format!("{path} is a directory, and a log of the format {format} is a file"),
    }
}

/// How far a format explains a file.
struct Finding {
    format: Format,
    known: bool,
    /// Whether it is more than chance: lengths alone that lead somewhere, in blocks of no size that can be told, are found
    /// in other bytes, too.
    strong: bool,
    records: u64,
    /// Bytes in records that are proved.
    proved: u64,
    /// Whether nothing is left over.
    whole: bool,
    evidence: Vec<String>,
    open: Option<Open>,
}

/// What every format says of a file of `len` bytes.
fn findings(env: &Env, source: &Source, len: u64) -> Result<Vec<Finding>> {
    Ok(vec![
        ask(env, source, len, |framing: &Framing| Format::Offset(*framing))?,
        ask(env, source, len, |blocks: &Aaol| Format::Aaol(Some(blocks.block_size())))?,
        ask(env, source, len, |aligned: &Aligned| Format::Aligned(Some(aligned.block_size())))?,
        ask_lines(source)?,
    ])
}

fn ask<L: Layout>(env: &Env, source: &Source, len: u64, format: impl FnOnce(&L) -> Format) -> Result<Finding> {
    let mut detected = detect::<L>(env, source, &L::Options::default())?;
    let evidence = std::mem::take(&mut detected.evidence);
    let Detected { layout, chain, known, certain, .. } = &detected;
    let format = format(layout);
    Ok(Finding {
        format: if certain.is_ok() { format } else { format.without_block() },
        known: *known,
        strong: L::PROVEN || certain.is_ok(),
        records: chain.count(),
        proved: chain.end().saturating_sub(chain.gap_bytes()),
        whole: chain.count() > 0 && chain.gap_bytes() == 0 && layout.is_closed(chain.end(), source, len)?,
        evidence,
        open: Some(opening(source, detected)),
    })
}

fn opening<L: Layout>(source: &Source, detected: Detected<L>) -> Open {
    let source = Source { path: source.path.clone(), file: source.file.clone() };
    Box::new(move |env| Ok(Ready::of(FileLog::found(env, source, detected)?)))
}

/// What text says.
fn ask_lines(source: &Source) -> Result<Finding> {
    let lines::Told { shape, lines, bytes, evidence } = lines::tell(source)?;
    let format = if shape == Some(Shape::Numbered) { Format::Memory } else { Format::JsonLines };
    let (known, evidence) = (shape.is_some(), vec![evidence]);
    Ok(Finding { format, known, strong: true, records: lines, proved: bytes, whole: false, evidence, open: None })
}

/// The finding that leaves nothing over, or else the one that proves most. Those that are as good are its rivals. One that
/// may be chance gives way to one that finds more records: chance finds few, as it passes over most.
fn choose(path: &Path, mut findings: Vec<Finding>) -> Result<(Told, Option<Open>)> {
    let best_of = |may_be: &dyn Fn(&Finding) -> bool| {
        let known = findings.iter().enumerate().filter(|(_, finding)| finding.known && may_be(finding));
        // Of equals the first.
        known.rev().max_by_key(|(_, finding)| (finding.whole, finding.proved))
    };
    let best = best_of(&|_| true).map(|(at, best)| match best.strong {
        true => at,
        false => best_of(&|other| other.strong && other.records > best.records).map_or(at, |(other, _)| other),
    });
    let Some(at) = best else {
        return Err(Error::new(ErrorKind::Unsupported, no_format(path)));
    };
    let best = findings.remove(at);
    let as_good = |finding: &&Finding| match best.whole {
        true => finding.known && finding.whole,
        false => finding.known && finding.proved == best.proved,
    };
    let rivals = findings.iter().filter(as_good).map(|finding| finding.format).collect();
    let mut evidence = best.evidence;
    evidence.extend(findings.into_iter().flat_map(|finding| finding.evidence));
    Ok((Told { format: best.format, rivals, evidence }, best.open))
}

fn no_format(path: &Path) -> String {
    let path = path.display();
    format!("{path} is no log of a format known here; if it is one, name it with --format: {}", Format::names())
}

/// What is said of a file without bytes.
fn empty(path: &Path) -> Told {
    let bipf = path.extension().is_some_and(|ending| ending == "bipf");
    let (format, name) = match bipf {
        true => (Format::Aaol(Some(Format::BLOCK_BYTES)), "its name, as ssb-db2 names its log"),
        false => (Format::Offset(Framing::Bits32), "being what FlumeDB makes"),
    };
    let evidence = vec![format!("it has no bytes that could tell; {format} is taken for {name}")];
    Told { format, rivals: Vec::new(), evidence }
}
