//! `darkroom upload`: photos from this machine's disk, several at once, and what is made of them back.

use std::collections::HashMap;
use std::error::Error;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Mutex;

use futures::{StreamExt as _, stream};

use super::End;
use super::api::Api;
use super::files;
use super::names::Names;
use super::outcome::{self, Outcome};
use super::photo::Run;
use super::progress::Progress;
use crate::cli::Upload;
use crate::stop::Signals;

/// Uploads what the command line names, and says what came of it.
pub(crate) async fn run(options: Upload) -> Result<End, Box<dyn Error + Send + Sync>> {
    let mut signals = Signals::new()?;
    let photos = files::photos(&options.paths)?;
    let recipe = options.recipe.as_deref().map(files::recipe).transpose()?;
    let api = Api::new(&options.server)?;
    tokio::select! {
        let_in = api.knock() => let_in?,
        () = signals.next() => return Ok(End::Stopped),
    }
    if let Some(folder) = &options.out {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|error| format!("the folder {} cannot be made: {}", folder.display(), files::why(&error)))?;
    }
    let names = options.out.map(|folder| Names::new(folder, &photos));
    let run = Run { api, recipe, names, at_work: Mutex::new(HashMap::new()) };

    let outcomes = upload_all(&run, &photos, usize::from(options.jobs), options.json, &mut signals).await;
    // OK to ignore below: who does not read on has seen enough, and the exit code says the rest.
    if !options.json {
        let _ = write!(std::io::stdout().lock(), "{}", outcome::table(&outcomes));
    }
    let end = outcome::end(&outcomes);
    if end == End::Stopped {
        let hint = "darkroom: stopped; the same command goes on from here";
        let _ = writeln!(std::io::stderr().lock(), "{hint}");
    }
    Ok(end)
}

/// Takes all photos through, so many at once, until they are over or somebody stops it. Outcomes are in the photos' order.
async fn upload_all(run: &Run, photos: &[PathBuf], at_once: usize, json: bool, signals: &mut Signals) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = photos.iter().map(|photo| Outcome::of(photo)).collect();
    let sizes: Vec<u64> = photos.iter().map(|photo| photo.metadata().map_or(0, |metadata| metadata.len())).collect();
    let progress = Progress::new(photos.len(), sizes.iter().sum(), !json && std::io::stderr().is_terminal());
    let one = async |index: usize| {
        let bar = progress.begin(&photos[index], sizes[index]);
        let outcome = run.photo(index, &photos[index], &bar).await;
        bar.end();
        (index, outcome)
    };
    let mut work = std::pin::pin!(stream::iter(0..photos.len()).map(one).buffer_unordered(at_once));
    let mut done = 0;
    loop {
        let (index, outcome) = tokio::select! {
            next = work.next() => match next {
                Some(next) => next,
                None => break,
            },
            () = signals.next() => break,
        };
        done += 1;
        progress.done(done);
        if json {
            let _ = writeln!(std::io::stdout().lock(), "{}", outcome.json());
        }
        outcomes[index] = outcome;
    }
    progress.clear();
    if json {
        let over: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.came == outcome::Came::Stopped).collect();
        for outcome in over {
            let _ = writeln!(std::io::stdout().lock(), "{}", outcome.json());
        }
    }
    outcomes
}
