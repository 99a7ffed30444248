//! Guards against a live query over a file whose names have gaps: it must wait for the next message, not look for it
//! over and over, and it must end with the database.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests panic to fail")]

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use flumedb::{
    Env, ErrorKind, Flume, Settings,
    codec::Utf8,
    views::{Index, index::Found},
};
use flumedb_ssb::OffsetLog;
use futures_util::StreamExt;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_live_query_over_names_with_gaps_waits_and_goes_on() {
    let log = OffsetLog::builder().env(Env::memory()).create().open("log.offset").unwrap();
    // So that a view shows nothing that nobody waits for.
    let rarely = |settings: &mut Settings| settings.views.publish_every = Duration::from_secs(3_600);
    let db = Flume::builder(Utf8).set(rarely).with_log(Arc::new(log)).blocking().unwrap();
    let live = db.view("texts", Index::new(1, |text: &String| [text.clone()])).blocking().unwrap();
    db.append_all(["one", "two"]).blocking().unwrap();
    // On a thread of its own: a query that looks over and over does not give its thread back.
    let (tell, told) = mpsc::channel();
    let follow = live.follow(|texts| texts.all());
    let follower = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let told = follow.take_while(|found| std::future::ready(tell.send(found.clone()).is_ok()));
        runtime.block_on(told.for_each(|_| std::future::ready(())));
    });
    let next = || told.recv_timeout(SOON).unwrap();
    let is_match = |found: &Found<String>, text: &str| matches!(found, Found::Match(found) if found.key == text);
    assert!(is_match(&next().unwrap(), "one") && is_match(&next().unwrap(), "two"));
    assert_eq!(next().unwrap(), Found::CaughtUp);
    for text in ["three", "four", "five"] {
        db.append(text).blocking().unwrap();
        assert!(is_match(&next().unwrap(), text));
    }
    db.close().blocking().unwrap();
    assert_eq!(next().unwrap_err().kind(), ErrorKind::Closed);
    follower.join().unwrap();
}
