//! Bars on a terminal: one for each photo at work, and one for all.

use std::path::Path;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::table::plain;

/// How often a bar moves by itself, so that one sees that something happens.
const TICK: Duration = Duration::from_millis(120);

/// Everything on the terminal.
#[derive(Debug)]
pub(super) struct Progress {
    bars: MultiProgress,
    all: ProgressBar,
    photos: usize,
}

/// A photo's bar.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    own: ProgressBar,
    all: ProgressBar,
    size: u64,
}

impl Progress {
    /// Bars for `photos` photos of `bytes` bytes, on standard error; none if they are not wanted.
    pub(super) fn new(photos: usize, bytes: u64, is_shown: bool) -> Self {
        let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        let all = bars.add(ProgressBar::new(bytes));
        all.set_style(style("{bar:32} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}  {msg}"));
        let progress = Self { bars, all, photos };
        progress.done(0);
        progress
    }

    /// Begins a photo's bar.
    pub(super) fn begin(&self, photo: &Path, size: u64) -> Bar {
        let own = self.bars.insert_before(&self.all, ProgressBar::new(size));
        own.set_style(style("{spinner} {prefix:28!} {bar:20} {decimal_bytes:>10} of {decimal_total_bytes:<10} {msg}"));
        own.set_prefix(plain(&photo.file_name().unwrap_or_default().to_string_lossy()));
        own.enable_steady_tick(TICK);
        Bar { own, all: self.all.clone(), size }
    }

    /// Says how many photos are over.
    pub(super) fn done(&self, photos: usize) {
        self.all.set_message(format!("{photos} of {} photos", self.photos));
    }

    /// Takes everything off the terminal.
    pub(super) fn clear(&self) {
        self.all.finish_and_clear();
        // OK to ignore: a terminal that is gone shows nothing either.
        let _ = self.bars.clear();
    }
}

impl Bar {
    /// What is being done.
    pub(super) fn says(&self, what: &'static str) {
        self.own.set_message(what);
    }

    /// So many bytes more are on their way.
    pub(super) fn sent(&self, bytes: u64) {
        self.own.inc(bytes);
        self.all.inc(bytes);
    }

    /// What was sent so far does not count.
    pub(super) fn begins_anew(&self) {
        self.all.dec(self.own.position());
        self.own.set_position(0);
    }

    /// The photo is over, and counts in full, whether or not it had to be sent.
    pub(super) fn end(&self) {
        self.all.inc(self.size.saturating_sub(self.own.position()));
        self.own.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━━ ").tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}
