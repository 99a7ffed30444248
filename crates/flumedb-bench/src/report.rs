//! Medians, shares and tables.

use std::fmt::Write;

use crate::{measure::Sample, workloads::Workload};

/// All samples of one subject in one workload; the n-th is of the n-th round.
pub(crate) struct Row {
    pub(crate) subject: &'static str,
    pub(crate) samples: Vec<Sample>,
}

impl Row {
    pub(crate) fn median(&self, of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        median(self.samples.iter().filter_map(of).collect())
    }

    /// Its rate as a share of another's, round by round: the middle, the least and the greatest.
    pub(crate) fn share(&self, of: &Row) -> Option<(f64, f64, f64)> {
        let shares: Vec<f64> =
            self.samples.iter().zip(&of.samples).filter_map(|(own, limit)| Some(own.rate()? / limit.rate()?)).collect();
        let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = shares.iter().copied().fold(0.0, f64::max);
        Some((median(shares)?, least, greatest))
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get(values.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

/// The table of one workload.
pub(crate) fn table(workload: &Workload, rows: &[Row]) -> String {
    let mut out = format!("### {}\n\n{}.\n\n", workload.name, capital(workload.what));
    let mut heads = vec!["", "entries/s", "MB/s", "s", "CPU s"];
    let share_heads: Vec<String> =
        workload.limits.iter().map(|limit| format!("share of {limit} (least–most)")).collect();
    heads.extend(share_heads.iter().map(String::as_str));
    heads.extend(workload.extra.iter().map(|(_, head)| *head));
    line(&mut out, &heads.iter().map(|head| (*head).to_owned()).collect::<Vec<_>>());
    line(
        &mut out,
        &heads.iter().enumerate().map(|(i, _)| if i == 0 { "---" } else { "---:" }.to_owned()).collect::<Vec<_>>(),
    );
    for row in rows {
        let limit = workload.limits.contains(&row.subject);
        let mut cells = vec![if limit { format!("limit `{}`", row.subject) } else { row.subject.to_owned() }];
        cells.push(number(row.median(Sample::rate)));
        cells.push(number(row.median(|sample| Some(sample.get("bytes")? / sample.get("s")? / 1e6))));
        cells.push(number(row.median(|sample| sample.get("s"))));
        cells.push(number(row.median(|sample| sample.get("cpu_s"))));
        for name in workload.limits {
            let of = rows.iter().find(|row| row.subject == *name);
            let share = of.filter(|_| !limit).and_then(|of| row.share(of));
            cells.push(share.map_or(String::new(), |(middle, least, most)| {
                format!("{:.0} % ({:.0}–{:.0})", middle * 100.0, least * 100.0, most * 100.0)
            }));
        }
        cells.extend(workload.extra.iter().map(|(name, _)| number(row.median(|sample| sample.get(name)))));
        line(&mut out, &cells);
    }
    out
}

fn line(out: &mut String, cells: &[String]) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// Three digits that matter, and thousands apart.
fn number(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if !value.is_finite() => "–".to_owned(),
        Some(value) if value >= 100.0 => {
            let digits = format!("{value:.0}");
            let mut out = String::new();
            for (i, digit) in digits.chars().enumerate() {
                if i > 0 && (digits.len() - i) % 3 == 0 {
                    out.push(',');
                }
                out.push(digit);
            }
            out
        }
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) if value >= 0.1 || value == 0.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.4}"),
    }
}
