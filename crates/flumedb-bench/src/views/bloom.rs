//! The Bloom filter: what it takes to build, to ask, on the disk, and how often it is wrong.

use std::{hint::black_box, sync::PoisonError, time::Instant};

use flumedb::{
    Flume,
    codec::{Document, JsonDoc, JsonDocs},
    views::Bloom,
};

use super::{disk_bytes, ns_each, timed::Timed, wait};
use crate::{Result, limits, measure::Sample, workloads::Context};

const FIELD: &str = "previous";
const PROBABILITY: f64 = 0.001;

#[derive(serde::Deserialize)]
struct Message {
    previous: String,
}

pub(super) fn measure(subject: &str, cx: &Context) -> Result<Sample> {
    match subject {
        "flumedb-bloom" => ours(cx, cx.entries as u64),
        "flumedb-bloom-grown" => ours(cx, 1_000),
        other => Err(format!("there is no `{other}` here").into()),
    }
}

fn bloom(items: u64) -> Bloom<JsonDoc, String> {
    Bloom::new(1, |doc: &JsonDoc| doc.text(&[FIELD]).map(String::from)).items(items).probability(PROBABILITY)
}

fn ours(cx: &Context, items: u64) -> Result<Sample> {
    let all = cx.messages()?;
    let asked = limits::random_numbers(all.len()).into_iter().take(200_000);
    let asked = asked.filter_map(|number| all.get(number as usize));
    let asked: Vec<String> =
        asked.map(|message| Ok(serde_json::from_slice::<Message>(message)?.previous)).collect::<Result<_>>()?;
    let missing: Vec<String> = asked.iter().map(|key| format!("!{key}")).collect();
    let log = cx.kept("flumedb").join("flumedb");
    wait(async {
        let db = Flume::builder(JsonDocs).views_in(&cx.scratch).open(&log).await?;
        let start = Instant::now();
        let (view, times) = Timed::new(bloom(items), false);
        let view = db.view("bloom", view).await?;
        drop(view.read().await?);
        drop(view);
        db.close().await?;
        let seconds = start.elapsed().as_secs_f64();
        let bytes = disk_bytes(&cx.scratch) as f64 / cx.entries as f64;

        let db = Flume::builder(JsonDocs).views_in(&cx.scratch).open(&log).await?;
        let start = Instant::now();
        let reader = db.view("bloom", bloom(items)).await?.read().await?;
        let open_ms = start.elapsed().as_secs_f64() * 1e3;
        if !asked.iter().all(|key| reader.may_contain(key)) {
            return Err("a key is denied".into());
        }
        let wrong = missing.iter().filter(|key| reader.may_contain(*key)).count() as f64 / missing.len() as f64;
        let ask = |keys: &[String]| {
            ns_each(keys.len(), || {
                black_box(keys.iter().filter(|key| reader.may_contain(*key)).count());
                Ok(())
            })
        };
        let (hit_ns, miss_ns) = (ask(&asked)?, ask(&missing)?);
        let bits = reader.bits() as f64 / reader.count().max(1) as f64;
        db.close().await?;
        let times = times.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Sample::of(cx.entries as u64, seconds, 0)
            .with("view_s", times.total.as_secs_f64())
            .with("hit_ns", hit_ns)
            .with("miss_ns", miss_ns)
            .with("wrong", wrong * 1e6)
            .with("key_bits", bits)
            .with("key_bytes", bytes)
            .with("open_ms", open_ms)
            .with("pause_ms", times.pause.as_secs_f64() * 1e3))
    })
}
