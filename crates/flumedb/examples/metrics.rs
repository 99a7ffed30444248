//! What an operator sees: metrics, as Prometheus reads them. `cargo run --example metrics`

use flumedb::{Flume, From, Result, codec::Utf8, views::Index};
use metrics_exporter_prometheus::PrometheusBuilder;

fn main() -> Result<()> {
    // Before a database is opened. A server says `with_http_listener(…).install()`, and Prometheus asks it on a port.
    let metrics = PrometheusBuilder::new().install_recorder().expect("there is no other recorder");

    let db = Flume::open("data", Utf8).blocking()?;
    let words = db.view("words", Index::new(1, |text: &String| Some(text.clone()))).blocking()?;
    for text in ["tide", "boat", "moon"] {
        db.append(text).blocking()?;
    }
    db.append_all(["ebb", "flow"]).blocking()?;
    let subscription = db.subscribe(From::Start);
    words.read().blocking()?;

    let wanted = [
        "flumedb_append_seconds_count",
        "flumedb_commits_total",
        "flumedb_entries_total",
        "flumedb_open_subscribers",
        "flumedb_poisoned",
        "flumedb_view_lag_entries",
    ];
    let page = metrics.render();
    let mut lines: Vec<&str> = page.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name))).collect();
    lines.sort_unstable();
    lines.iter().for_each(|line| println!("{line}"));

    drop(subscription);
    db.close().blocking()
}

// prints:
// flumedb_append_seconds_count{log="data"} 4
// flumedb_commits_total{log="data"} 4
// flumedb_entries_total{log="data"} 5
// flumedb_open_subscribers{log="data"} 1
// flumedb_poisoned{log="data"} 0
// flumedb_view_lag_entries{log="data",view="words"} 0
