//! [`Time`], as people write one on a command line.

use std::{str::FromStr, time::Duration};

use jiff::{SpanRelativeTo, Timestamp, civil::Date, tz::TimeZone};

/// Milliseconds since 1970, as messages claim them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Time(pub(crate) f64);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(number) = text.parse::<f64>()
            && number.is_finite()
        {
            return Ok(Self(number));
        }
        let day = |date: Date| Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp());
        let moment = text.parse::<Timestamp>().ok().or_else(|| text.parse().ok().and_then(day));
        match moment {
            Some(moment) => Ok(Self(moment.as_millisecond() as f64)),
            None => Err("give 2015-08-05, 2015-08-05T15:00:00Z, or milliseconds since 1970".to_owned()),
        }
    }
}

/// How old something is, as people write it.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    let age =
        text.parse::<jiff::Span>().ok().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    age.and_then(|age| Duration::try_from(age).ok()).ok_or_else(|| {
        "give 90d, 12h, 2w or the like; days and weeks are the largest, as in 365d for a year".to_owned()
    })
}

/// How long ago a moment is, in seconds since 1970, at another in microseconds.
pub(crate) fn ago(then: i64, now_us: i64) -> String {
    let seconds = (now_us / 1_000_000).saturating_sub(then).max(0);
    match seconds {
        0..120 => format!("{seconds} seconds old"),
        120..7200 => format!("{} minutes old", seconds / 60),
        7200..172_800 => format!("{} hours old", seconds / 3600),
        _ => format!("{} days old", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let ms = 1_438_786_800_000.0;
        for text in ["2015-08-05T15:00:00Z", "2015-08-05T17:00:00+02:00", "2015-08-05 15:00:00Z", "1438786800000"] {
            assert_eq!(text.parse(), Ok(Time(ms)), "{text}");
        }
        assert_eq!("2015-08-05".parse(), Ok(Time(ms - 15.0 * 3_600_000.0)));
        assert_eq!("-1.5".parse(), Ok(Time(-1.5)));
        for text in ["", "yesterday", "2015-13-01", "NaN", "inf"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }
}
