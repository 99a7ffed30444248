//! [`Look`], what can be told of a log at one moment without being in anybody's way.

use std::{path::Path, time::Duration};

use flumedb::{
    Env, Seq,
    log::{Kept, LogStat},
    view::StoredView,
};
use serde_json::{Map, Value, json};

use crate::{exit::Failure, open::Opened, time::ago, views};

/// A log at one moment.
pub(super) struct Look {
    /// When, by a clock that never goes back.
    at: Duration,
    unix_us: i64,
    format: String,
    stat: LogStat,
    /// The oldest number that there is.
    first: Option<Seq>,
    head: Option<Seq>,
    views: Vec<StoredView>,
    /// Entries and bytes a second since the look before.
    rates: Option<(f64, f64)>,
}

impl Look {
    /// Looks at a log, on the clock of `env`: what is to be compared must be seen on one.
    pub(super) fn at(env: &Env, opened: &Opened, path: &Path) -> Result<Self, Failure> {
        let head = opened.db.barrier().blocking()?;
        let (first, stat) = (opened.db.first(), opened.db.stat()?);
        let views = if opened.is_own() { StoredView::list(env, &views::dir(path))? } else { Vec::new() };
        let format = opened.format.to_string();
        let (at, unix_us) = (env.clock.monotonic(), env.clock.unix_us());
        Ok(Self { at, unix_us, format, stat, first, head, views, rates: None })
    }

    /// The same, with how much has come since `before`.
    pub(super) fn since(mut self, before: &Self) -> Self {
        let seconds = self.at.saturating_sub(before.at).as_secs_f64();
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        if seconds > 0.0 {
            self.rates = Some((rate(self.appended(), before.appended()), rate(self.stat.bytes, before.stat.bytes)));
        }
        self
    }

    /// How many entries there ever were, where numbers count them; elsewhere as many as are there.
    fn appended(&self) -> u64 {
        match self.head {
            Some(head) if self.stat.segments > 0 => head.get().saturating_add(1),
            _ => self.stat.entries.saturating_add(self.stat.deleted),
        }
    }

    /// The newest entry that is on the disk, where that is told.
    fn durable(&self) -> Option<Seq> {
        if self.stat.segments > 0 { self.stat.durable } else { None }
    }

    pub(super) fn json(&self) -> Map<String, Value> {
        let views: Vec<Value> = self.views.iter().map(|view| self.view_json(view)).collect();
        let object = json!({
            "format": self.format, "entries": self.stat.entries, "deleted": self.stat.deleted, "bytes": self.stat.bytes,
            "first": self.first, "head": self.head, "durable": self.durable(), "segments": self.stat.segments, "torn": self.stat.torn,
            "damaged": self.stat.damaged, "views": views,
        });
        let Value::Object(mut object) = object else { return Map::new() };
        if let Some((entries, bytes)) = self.rates {
            object.insert("unix_us".to_owned(), self.unix_us.into());
            object.insert("entries_per_second".to_owned(), entries.into());
            object.insert("bytes_per_second".to_owned(), bytes.into());
        }
        object
    }

    fn view_json(&self, view: &StoredView) -> Value {
        let status = view.status.as_ref();
        json!({
            "name": view.name, "since": status.and_then(|status| status.since), "lag": self.lag(view),
            "state": status.map(|status| status.state), "kind": status.map(|status| &status.definition.kind),
        })
    }

    /// Numbers of the log that the view has not taken in.
    fn lag(&self, view: &StoredView) -> Option<u64> {
        let next = |seq: Option<Seq>| seq.map_or(0, |seq| seq.get().saturating_add(1));
        view.status.as_ref().map(|status| next(self.head).saturating_sub(next(status.since)))
    }

    /// For people, a line for each.
    pub(super) fn lines(&self, codec: Option<&str>) -> Vec<String> {
        let mut lines = vec![format!("format   {}", self.format)];
        lines.extend(codec.map(|codec| format!("codec    {codec}")));
        if let Some((entries, bytes)) = self.rates {
            lines.push(format!("comes    {entries:.0} entries/s, {bytes:.0} bytes/s"));
        }
        lines.push(format!("entries  {}", self.stat.entries));
        lines.push(format!("deleted  {}", self.stat.deleted));
        lines.push(format!("bytes    {}", self.stat.bytes));
        if let Some(first) = self.first.filter(|first| first.get() > 0) {
            lines.push(format!("first    {first}: what was before is gone"));
        }
        lines.push(format!("head     {}", say(self.head)));
        if self.stat.segments > 0 {
            lines.push(format!("on disk  {}", say(self.stat.durable)));
            lines.push(format!("segments {}", self.stat.segments));
        }
        for (what, kept) in [("torn    ", &self.stat.torn), ("damaged ", &self.stat.damaged)] {
            lines.extend(self.kept(kept).map(|kept| format!("{what} {kept}")));
        }
        lines.extend(self.views.iter().map(|view| self.view_line(view)));
        lines
    }

    fn view_line(&self, view: &StoredView) -> String {
        let name = &view.name;
        let Some(status) = &view.status else { return format!("view     {name}: it has not said how far it is") };
        let lag = match self.lag(view) {
            Some(0) | None => String::new(),
            Some(lag) => format!(", {lag} behind"),
        };
        let state = state(view);
        format!(
            "view     {name} ({}), {state}{lag}, at {} of {}",
            status.definition.kind,
            say(status.since),
            say(self.head)
        )
    }

    /// For a file or another program that is no friend of JSON: all in one line.
    pub(super) fn line(&self) -> String {
        let (entries, bytes) = self.rates.unwrap_or_default();
        let mut line = format!(
            "{entries:.0} entries/s, {bytes:.0} bytes/s, entries {}, deleted {}, head {}, on disk {}, segments {}, bytes {}",
            self.stat.entries,
            self.stat.deleted,
            say(self.head),
            say(self.durable()),
            self.stat.segments,
            self.stat.bytes
        );
        for view in &self.views {
            let lag = self.lag(view).map_or("?".to_owned(), |lag| lag.to_string());
            line.push_str(&format!(", view {} {} {lag} behind", view.name, state(view)));
        }
        line
    }

    fn kept(&self, kept: &Kept) -> Option<String> {
        let Kept { files, bytes, oldest, .. } = *kept;
        let age = oldest.map_or(String::new(), |oldest| format!(", the oldest {}", ago(oldest, self.unix_us)));
        (files > 0).then(|| format!("{files} files, {bytes} bytes{age}; they may hold what was deleted since"))
    }
}

fn say(seq: Option<Seq>) -> String {
    seq.map_or("none".to_owned(), |seq| seq.to_string())
}

fn state(view: &StoredView) -> &'static str {
    use flumedb::view::StoredState;
    match view.status.as_ref().map(|status| status.state) {
        Some(StoredState::Building) => "building",
        Some(StoredState::Live) => "live",
        Some(StoredState::Retrying) => "retrying",
        Some(StoredState::Faulted) => "stopped",
        Some(StoredState::Closed) => "closed",
        _ => "unknown",
    }
}
