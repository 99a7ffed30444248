//! The query language, through indexes and over a scan.

use std::{hint::black_box, time::Instant};

use flumedb::{
    Flume,
    codec::{Document, JsonDocs},
    mfr::Pipeline,
    views::{IndexOn, Query},
};

use super::{ns_each, wait};
use crate::{Result, limits, measure::Sample, workloads::Context};

pub(super) fn measure(subject: &str, cx: &Context) -> Result<Sample> {
    if subject != "flumedb-query" {
        return Err(format!("there is no `{subject}` here").into());
    }
    let log = cx.kept("flumedb").join("flumedb");
    wait(async {
        let db = Flume::builder(JsonDocs).views_in(&cx.scratch).open(&log).await?;
        let start = Instant::now();
        let indexes = [
            IndexOn::new("author", [["author"], ["sequence"]]),
            IndexOn::new("type", [vec!["content", "type"], vec!["timestamp"]]),
        ];
        let set = Query::open(&db, "bench", indexes).await?;
        for view in set.views() {
            view.read().await?;
        }
        let seconds = start.elapsed().as_secs_f64();

        let messages = cx.messages()?;
        let mut queries = Vec::new();
        for number in limits::random_numbers(messages.len()).into_iter().take(2_000) {
            let message = messages.get(number as usize);
            let doc = flumedb::codec::JsonDoc::parse(message.to_vec())?;
            let (Some(author), Some(sequence)) = (doc.text(&["author"]), doc.integer(&["sequence"])) else { continue };
            let filter = serde_json::json!([{"$filter": {"author": author, "sequence": {"$gte": sequence}}}]);
            queries.push(Pipeline::parse(&filter.to_string())?);
        }
        let mut first = [0.0; 2];
        for (stale, us) in [true, false].into_iter().zip(&mut first) {
            // Once to warm up.
            for _ in 0..2 {
                let start = Instant::now();
                for query in &queries {
                    let ask = set.ask(query);
                    let mut rows = if stale { ask.stale() } else { ask }.rows();
                    black_box(rows.next().await.ok_or("a row is missing")??);
                }
                *us = start.elapsed().as_secs_f64() * 1e6 / queries.len().max(1) as f64;
            }
        }
        let start = Instant::now();
        let mut count = 0;
        for query in queries.iter().take(100) {
            count += set.ask(query).limit(1_000).rows().blocking().count();
        }
        let row_ns = start.elapsed().as_secs_f64() * 1e9 / count.max(1) as f64;
        let none = Pipeline::parse(
            r#"{"sequence": -1, "author": {"$ne": "nobody"}, "content": {"type": {"$truthy": true}}}"#,
        )?;
        let scan = Query::open(&db, "none", []).await?;
        let scan_ns = ns_each(cx.entries, || {
            black_box(scan.ask(&none).rows().blocking().count());
            Ok(())
        })?;
        db.close().await?;
        let [stale_us, first_us] = first;
        let sample = Sample::of(cx.entries as u64, seconds, 0).with("stale_us", stale_us).with("first_us", first_us);
        Ok(sample.with("row_ns", row_ns).with("scan_ns", scan_ns))
    })
}
