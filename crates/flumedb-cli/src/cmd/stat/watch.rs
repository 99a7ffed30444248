//! `flume stat --watch`: looks again and again until somebody presses Ctrl-C.

use std::{sync::Arc, time::Duration};

use console::{Term, truncate_str};
use flumedb::{Env, env::Signal};
use serde_json::Value;

use super::look::Look;
use crate::{
    args::Stat,
    exit::{Failure, Outcome, Verdict},
    open::Opened,
    output,
};

pub(super) fn watch(opened: &Opened, args: &Stat, period: Duration) -> Outcome {
    let stop = Arc::new(Signal::new());
    let pressed = stop.clone();
    ctrlc::set_handler(move || pressed.raise())
        .map_err(|error| Failure::system(format!("Ctrl-C cannot be waited for: {error}")))?;
    let path = &args.place.path;
    let screen = Some(Term::stdout()).filter(|term| term.is_term() && !args.json);
    let env = Env::os();
    let (mut before, mut shown) = (Look::at(&env, opened, path)?, 0);
    loop {
        // The first look has nothing to compare with: it is shown at once, where it stays on the screen.
        if let Some(screen) = &screen {
            shown = show(screen, shown, &before.lines(None)).map_err(|error| Failure::output(&error))?;
        }
        let begun = env.clock.monotonic();
        // It may come back sooner without a reason.
        while let left = period.saturating_sub(env.clock.monotonic().saturating_sub(begun))
            && !left.is_zero()
        {
            if stop.wait(Some(left)) {
                return Ok(Verdict::Fine);
            }
        }
        let look = Look::at(&env, opened, path)?.since(&before);
        if screen.is_none() {
            let line = if args.json { Value::Object(look.json()).to_string() } else { look.line() };
            output::line(line)?;
        }
        before = look;
    }
}

/// Puts the lines in the place of those shown before; says how many there are now.
fn show(screen: &Term, shown: usize, lines: &[String]) -> std::io::Result<usize> {
    let (height, width) = screen.size();
    screen.clear_last_lines(shown)?;
    // What does not fit would scroll away, and could not be taken back.
    let lines = lines.get(..lines.len().min(usize::from(height).saturating_sub(1))).unwrap_or_default();
    for line in lines {
        screen.write_line(&truncate_str(line, usize::from(width), "…"))?;
    }
    Ok(lines.len())
}
