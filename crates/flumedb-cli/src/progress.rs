//! [`Progress`], a bar on standard error where a person watches, and nothing elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How far long work has got.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Work of this name, and how much there is of it, if that is known.
    pub(crate) fn new(name: impl Into<std::borrow::Cow<'static, str>>, total: Option<u64>) -> Self {
        // Hidden by itself where standard error is no terminal.
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let template = match total {
            Some(_) => "{msg:12} [{bar:32}] {percent:>3} %  {eta:>4} left",
            None => "{msg:12} {spinner} {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(name);
        Self(bar)
    }

    /// So much is done.
    pub(crate) fn at(&self, done: u64) {
        self.0.set_position(done);
    }

    /// So much of so much is done.
    pub(crate) fn of(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// All is done; the bar stays where it is, full.
    pub(crate) fn finish(&self) {
        if let Some(total) = self.0.length() {
            self.0.set_position(total);
        }
        self.0.finish();
    }
}

/// Work that was given up, or was too short to be told of, leaves no trace.
impl Drop for Progress {
    fn drop(&mut self) {
        if !self.0.is_finished() {
            self.0.finish_and_clear();
        }
    }
}
