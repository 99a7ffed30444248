//! What goes on, told on standard error: the events of the library, with `-v` or as the variable `FLUME_LOG` says.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use crate::exit::Failure;

const VARIABLE: &str = "FLUME_LOG";

/// Tells from now on, the more the larger `verbose` is.
pub(crate) fn tell(verbose: u8) -> Result<(), Failure> {
    let own = |level: LevelFilter| Targets::new().with_target("flumedb", level);
    let shown = match (verbose, std::env::var(VARIABLE)) {
        (1, _) => own(LevelFilter::INFO),
        (2, _) => own(LevelFilter::DEBUG),
        (3.., _) => own(LevelFilter::TRACE),
        (0, Ok(text)) if !text.trim().is_empty() => text
            .parse::<Targets>()
            .map_err(|error| Failure::usage(format!("{VARIABLE} is not as in flumedb::view=debug,info: {error}")))?,
        (0, _) => return Ok(()),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false).with_filter(shown);
    tracing_subscriber::registry().with(lines).init();
    Ok(())
}
