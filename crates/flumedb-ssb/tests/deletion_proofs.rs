//! Guards against a stored view that goes on showing an entry which was deleted in place while it ran: the format tells
//! nobody, so the evidence in the view's checkpoint must not fit at the next opening, wherever the entry lay and whenever
//! the checkpoint was made; and it must fit where nothing was deleted.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use flumedb::{
    Env, Seq,
    log::{Batch, Log, Proof},
};
use flumedb_ssb::{AaolLog, AlignedLog, Framing, OffsetLog};

fn batch(count: usize) -> Batch {
    let mut batch = Batch::new();
    (0..count).for_each(|number| batch.push(format!("{{\"number\":{number},\"text\":\"some words\"}}").as_bytes()));
    batch
}

async fn proofs(log: &dyn Log, seqs: &[Seq]) -> Vec<Option<Proof>> {
    seqs.iter().map(|seq| log.proof(*seq).unwrap()).collect()
}

async fn tried(open: impl Fn() -> Box<dyn Log>) {
    let log = open();
    let seqs = log.append(batch(500)).await.unwrap();
    let before = proofs(&*log, &seqs).await;
    log.close().await.unwrap();
    drop(log);
    let log = open();
    assert_eq!(proofs(&*log, &seqs).await, before, "nothing happened, and the evidence does not fit");
    for gone in [0, 1, 250, 498, 499] {
        log.close().await.unwrap();
        let log = open();
        let earlier = proofs(&*log, &seqs).await;
        log.delete(&[seqs[gone]]).await.unwrap();
        let later = proofs(&*log, &seqs).await;
        log.close().await.unwrap();
        drop(log);
        let log = open();
        let now = proofs(&*log, &seqs).await;
        for at in 0..seqs.len() {
            if at >= gone {
                assert_ne!(earlier[at], now[at], "made before {gone} was deleted, for {at}");
                assert_ne!(later[at], now[at], "made after {gone} was deleted, for {at}");
            } else {
                assert_eq!(earlier[at], now[at], "{at} lies before {gone}");
            }
        }
        log.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_checkpoint_from_before_or_after_a_deletion_does_not_fit_any_more() {
    for framing in Framing::ALL {
        let env = Env::memory();
        tried(|| Box::new(OffsetLog::builder().env(env.clone()).framing(framing).create().open("log").unwrap())).await;
    }
    for block in [256, 4096, 65_536] {
        let env = Env::memory();
        tried(|| Box::new(AaolLog::builder().env(env.clone()).block_size(block).create().open("log").unwrap())).await;
        let env = Env::memory();
        tried(|| Box::new(AlignedLog::builder().env(env.clone()).block_size(block).create().open("log").unwrap()))
            .await;
    }
}
