//! What the trait promises besides reading back what was appended.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use flumedb::{
    ErrorKind, Seq, Span,
    log::{Batch, Condition, Log, Note, ReadRequest, SlotKind},
};

use super::{
    Subject, append, batch, get, kind, wait,
    walk::{entries, everything, walk},
};

/// Payloads of every size, whole and unchanged: none, one byte, the largest, and those around powers of two.
pub fn large_and_empty_payloads(subject: &Subject) {
    let (_place, log) = subject.fresh();
    let largest = subject.features.payload_bytes;
    let around = (6..18).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1]);
    let sizes: Vec<usize> = [0, 1, largest]
        .into_iter()
        .chain(around)
        .filter(|&size| size <= largest && (size > 0 || subject.features.empty_payloads))
        .collect();
    // Not zeros, and different everywhere, so that a part in the wrong place shows.
    let payload = |size: usize| -> Vec<u8> { (0..size).map(|at| (at % 251) as u8 + 1).collect() };
    let seqs: Vec<Seq> = sizes.iter().flat_map(|&size| append(&*log, [payload(size)])).collect();
    for (&seq, &size) in seqs.iter().zip(&sizes) {
        assert!(get(&*log, seq).as_deref().ok() == Some(&payload(size)), "{size} bytes come back by name");
    }
    for reverse in [false, true] {
        let (read, _) = walk(&*log, ReadRequest { reverse, ..ReadRequest::forwards(Span::ALL) });
        let mut read: Vec<usize> = read
            .into_iter()
            .map(|read| {
                assert!(read.payload == payload(read.payload.len()), "{} bytes come back", read.payload.len());
                read.payload.len()
            })
            .collect();
        if reverse {
            read.reverse();
        }
        assert_eq!(read, sizes);
    }
}

/// The head and its watch move with every append, only upwards, and tell one who waits.
pub fn the_head_only_grows(subject: &Subject) {
    let (_place, log) = subject.fresh();
    let mut head = log.head();
    assert_eq!(*head.borrow_and_update(), None, "an empty log has no head");
    assert_eq!(log.first(), None);
    let waiter = {
        let mut head = head.clone();
        thread::spawn(move || wait(head.wait_for(Option::is_some)).is_ok())
    };
    let mut last = None;
    for payload in ["a", "b", "c"] {
        let seq = append(&*log, [payload])[0];
        assert!(head.has_changed().expect("an open log has a head"), "who waits hears of it");
        assert_eq!(*head.borrow_and_update(), Some(seq), "who has appended sees it");
        assert!(Some(seq) > last, "{seq:?} after {last:?}");
        last = Some(seq);
    }
    assert!(waiter.join().expect("a waiter ends"), "who waited for the first entry got it");
}

/// Readers see all entries of a batch or none, while it is written.
pub fn a_batch_is_seen_whole(subject: &Subject) {
    const SIZE: usize = 5;
    let (_place, log) = subject.fresh();
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (log, done) = (log.clone(), done.clone());
        thread::spawn(move || {
            while !done.load(Ordering::Acquire) {
                let head = wait(log.barrier()).expect("an open log knows its head");
                let end = head.map_or(0, |head| head.get() + 1);
                let (read, _) = walk(&*log, ReadRequest::forwards(Span { to: end, ..Span::ALL }));
                assert_eq!(read.len() % SIZE, 0, "a batch is seen in part, with the head at {head:?}");
            }
        })
    };
    for round in 0..60u8 {
        append(&*log, (1..=SIZE).map(|size| vec![round + 1; size * 40]));
    }
    done.store(true, Ordering::Release);
    reader.join().expect("the reader saw whole batches only");
    assert_eq!(entries(&*log).len(), 60 * SIZE);
    let stat = log.stat().expect("an open log can be counted");
    assert_eq!((stat.entries, stat.deleted), (60 * SIZE as u64, 0));
    assert_eq!(append(&*log, [] as [&[u8]; 0]), [], "a batch of nothing appends nothing");
    assert_eq!(entries(&*log).len(), 60 * SIZE);
}

/// Each of many writers gets the name of its own entry.
pub fn concurrent_appends_get_their_own_names(subject: &Subject) {
    let (_place, log) = subject.fresh();
    let writers: Vec<_> = (0..8u8)
        .map(|writer| {
            let log = log.clone();
            thread::spawn(move || {
                let payload = |number: u8| [writer + 1, number + 1];
                (0..40)
                    .map(|number| {
                        let seq = append(&*log, [payload(number)])[0];
                        assert_eq!(get(&*log, seq).expect("who has appended can read it"), payload(number));
                        seq
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut names = BTreeSet::new();
    for writer in writers {
        let seqs = writer.join().expect("a writer's entries are its own");
        assert!(seqs.is_sorted(), "one writer's entries are in its order");
        names.extend(seqs);
    }
    assert_eq!(names.len(), 8 * 40, "no name was given twice");
    assert!(everything(&*log).into_iter().map(|read| read.seq).eq(names));
}

/// The writer tests a condition against the log as it is then, and appends nothing if it does not hold.
pub fn a_condition_is_tested_by_the_writer(subject: &Subject) {
    let (_place, log) = subject.fresh();
    let try_append = |payload: &str, condition| {
        let mut batch = batch([payload]);
        batch.condition = Some(condition);
        wait(log.append(batch)).map(|seqs| seqs[0])
    };
    let none_after = |after, text: &'static str, limit| Condition::NoneAfter {
        after,
        matches: Box::new(move |payload| Ok(*payload == text)),
        limit,
    };
    let conflicts =
        |outcome: flumedb::Result<Seq>| assert_eq!(kind(&outcome), Some(ErrorKind::Conflict), "{outcome:?}");
    let holds = |outcome: flumedb::Result<Seq>| outcome.expect("the condition holds");

    conflicts(try_append("x", Condition::Head(Some(Seq::new(0)))));
    let a = holds(try_append("a", Condition::Head(None)));
    conflicts(try_append("x", Condition::Head(None)));
    let b = holds(try_append("b", Condition::Head(Some(a))));
    conflicts(try_append("x", Condition::Head(Some(a))));

    conflicts(try_append("x", none_after(None, "a", 10)));
    conflicts(try_append("x", none_after(Some(a), "b", 10)));
    let c = holds(try_append("c", none_after(Some(a), "a", 10)));
    holds(try_append("d", none_after(Some(c), "c", 0)));
    conflicts(try_append("x", none_after(Some(b), "nothing", 1)));
    holds(try_append("e", none_after(Some(b), "nothing", 2)));
    let failing = Condition::NoneAfter {
        after: None,
        matches: Box::new(|_| Err(flumedb::Error::new(ErrorKind::Invalid, "cannot tell"))),
        limit: 10,
    };
    let failed = try_append("x", failing).expect_err("the test itself fails");
    assert_eq!((failed.kind(), failed.seq()), (ErrorKind::Invalid, Some(a)), "it says at which entry");
    assert_eq!(entries(&*log), ["a", "b", "c", "d", "e"].map(str::as_bytes));
    if subject.features.deletes {
        wait(log.delete(&[c])).expect("an entry can be deleted");
        holds(try_append("f", none_after(Some(b), "c", 10)));
    }

    // Of many who want the same, one gets it.
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let log = log.clone();
            thread::spawn(move || {
                let mut batch = batch(["claimed"]);
                let matches = Box::new(|payload: &flumedb::Bytes| Ok(payload == "claimed"));
                batch.condition = Some(Condition::NoneAfter { after: None, matches, limit: 100 });
                wait(log.append(batch)).is_ok()
            })
        })
        .collect();
    let winners = racers.into_iter().map(|racer| racer.join().expect("a racer ends")).filter(|won| *won).count();
    assert_eq!(winners, 1);
}

/// The newest note of each name counts, and one that is refused with its batch does not.
pub fn notes_keep_positions(subject: &Subject) {
    let (mut place, mut log) = subject.fresh();
    let note = |name: &str, position: u64| Note { name: name.into(), position, proof: vec![7; position as usize] };
    let append_note = |log: &dyn Log, payloads: &[&str], note, condition| {
        let mut batch = batch(payloads);
        (batch.note, batch.condition) = (Some(note), condition);
        wait(log.append(batch))
    };
    let read = |log: &dyn Log, name| log.note(name).expect("notes can be read");
    assert_eq!(read(&*log, "a"), None);
    if !subject.features.notes {
        let refused = append_note(&*log, &["x"], note("a", 1), None);
        assert_eq!(kind(&refused), Some(ErrorKind::Unsupported), "a note is kept or refused");
        assert!(entries(&*log).is_empty());
        return;
    }
    append_note(&*log, &["one"], note("a", 1), None).expect("a note with an entry");
    append_note(&*log, &["two", "three"], note("b", 2), None).expect("a note with two entries");
    let head = *log.head().borrow();
    let named = append_note(&*log, &[], note("a", 3), None).expect("a note with no entry");
    assert_eq!((named.len(), *log.head().borrow()), (0, head), "a note is no entry");
    let refused = append_note(&*log, &["x"], note("a", 4), Some(Condition::Head(None)));
    assert_eq!(kind(&refused), Some(ErrorKind::Conflict));
    let largest = Note { name: "large".into(), position: u64::MAX, proof: vec![9; 64 << 10] };
    append_note(&*log, &["four"], largest.clone(), None).expect("a note of 64 KiB");
    let expect = |log: &dyn Log| {
        assert_eq!(read(log, "a"), Some(note("a", 3)));
        assert_eq!(read(log, "b"), Some(note("b", 2)));
        assert_eq!(read(log, "large"), Some(largest.clone()));
        assert_eq!(read(log, "c"), None);
    };
    expect(&*log);
    if subject.features.survives {
        wait(log.close()).expect("a sound log closes");
        drop(log);
        log = place.open();
        expect(&*log);
    }
    assert_eq!(entries(&*log), ["one", "two", "three", "four"].map(str::as_bytes));
}

/// A deletion of something that is no entry deletes nothing, not even what comes with it.
pub fn deleting_what_is_not_there_deletes_nothing(subject: &Subject) {
    let (_place, log) = subject.fresh();
    let seqs = append(&*log, ["one", "two", "three"]);
    if !subject.features.deletes {
        assert_eq!(kind(&wait(log.delete(&seqs[..1]))), Some(ErrorKind::Unsupported), "it deletes or refuses to");
        assert_eq!(entries(&*log).len(), 3);
        return;
    }
    let missing = Seq::new(seqs[2].get() + 1000);
    assert_eq!(kind(&wait(log.delete(&[seqs[0], missing]))), Some(ErrorKind::NotFound));
    assert_eq!(entries(&*log).len(), 3);
    wait(log.delete(&[])).expect("to delete nothing is fine");
    wait(log.delete(&[seqs[1], seqs[1]])).expect("twice in one call is once");
    let head = *log.head().borrow();
    if subject.features.tombstones {
        let tombstone = head.expect("a tombstone moves the head");
        assert_eq!(kind(&wait(log.delete(&[tombstone]))), Some(ErrorKind::NotFound), "a tombstone is no entry");
        assert_eq!(kind(&get(&*log, tombstone)), Some(ErrorKind::NotFound));
    }
    wait(log.delete(&[seqs[1]])).expect("deleted already is fine");
    assert_eq!(*log.head().borrow(), head, "and needs no record");
    assert_eq!(entries(&*log), ["one", "three"].map(str::as_bytes));
}

/// A call that is dropped before it is polled never happens.
pub fn a_dropped_call_does_nothing(subject: &Subject) {
    let (_place, log) = subject.fresh();
    let seqs = append(&*log, ["one"]);
    drop(log.append(batch(["never"])));
    if subject.features.deletes {
        drop(log.delete(&seqs));
    }
    append(&*log, ["two"]);
    wait(log.sync(None)).expect("a sound log syncs");
    assert_eq!(entries(&*log), ["one", "two"].map(str::as_bytes));
}

/// Closing waits for what was appended; then every call says `Closed`, closing again is fine.
pub fn a_closed_log_says_so(subject: &Subject) {
    let (mut place, log) = subject.fresh();
    let seqs = append(&*log, ["one", "two"]);
    let mut buffered: Batch = batch(["three"]);
    buffered.buffered = true;
    wait(log.append(buffered)).expect("a buffered append");
    wait(log.close()).expect("a sound log closes");
    let closed = Some(ErrorKind::Closed);
    assert_eq!(kind(&wait(log.append(batch(["late"])))), closed);
    assert_eq!(kind(&get(&*log, seqs[0])), closed);
    assert_eq!(kind(&wait(log.read(ReadRequest::forwards(Span::ALL)))), closed);
    if subject.features.deletes {
        assert_eq!(kind(&wait(log.delete(&seqs))), closed);
    }
    wait(log.close()).expect("closing twice is closing");
    if subject.features.survives {
        // The old handle is still there: closing freed the lock.
        let log = place.open();
        assert_eq!(entries(&*log), ["one", "two", "three"].map(str::as_bytes));
    }
}

/// Closed and opened again it is the same log: what it holds, which it is, and what it gives as evidence. One that does
/// not outlive its handles is never taken for another.
pub fn the_same_log_after_reopening(subject: &Subject) {
    let (mut place, mut log) = subject.fresh();
    if !subject.features.survives {
        assert_ne!(log.identity(), place.open().identity());
        return;
    }
    let mut seqs = append(&*log, ["one", "two"]);
    let (identity, proof) = (log.identity(), log.proof(seqs[0]).expect("evidence for an entry"));
    assert_ne!(proof, None, "a log that is kept gives evidence of itself");
    for round in 0..5u8 {
        if subject.features.deletes && round == 2 {
            wait(log.delete(&seqs[1..2])).expect("an entry can be deleted");
        }
        let (before, stat) = (everything(&*log), log.stat().expect("an open log can be counted"));
        wait(log.close()).expect("a sound log closes");
        drop(log);
        log = place.open();
        assert_eq!(log.recovery(), None, "nothing to recover after a close");
        assert_eq!(everything(&*log), before);
        let now = log.stat().expect("an open log can be counted");
        assert_eq!((now.entries, now.deleted), (stat.entries, stat.deleted));
        assert_eq!(log.identity(), identity, "after {round} rounds");
        assert_eq!(log.proof(seqs[0]).expect("evidence for an entry"), proof);
        assert!(log.proof(Seq::new(u64::MAX - 1)).is_ok_and(|proof| proof.is_none()), "no evidence of nothing");
        seqs.extend(append(&*log, [[round + 1; 100]]));
    }
    let readable = everything(&*log).iter().filter(|read| read.kind == SlotKind::Entry).count();
    assert_eq!(readable, 7 - usize::from(subject.features.deletes));
}
