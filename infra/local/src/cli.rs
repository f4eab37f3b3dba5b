//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use reqwest::Url;
use shared::config::Vars;

/// Darkroom on this machine: the HTTP API, the web page, and S3, DynamoDB, SQS and SNS in one process.
#[derive(Clone, Debug, Parser)]
#[command(name = "darkroom", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) serve: Serve,
}

/// How to start.
#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    /// Folder that keeps photos, jobs and messages from one start to the next.
    #[arg(long, value_name = "FOLDER", default_value = ".darkroom")]
    pub(crate) data_dir: PathBuf,

    /// Keep nothing: use a temporary folder and remove it in the end.
    #[arg(long, conflicts_with = "data_dir")]
    pub(crate) ephemeral: bool,

    /// Address of the HTTP API and the web page; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = loopback)]
    pub(crate) api_addr: SocketAddr,

    /// Address of the AWS endpoint; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4566", value_parser = loopback)]
    pub(crate) aws_addr: SocketAddr,

    /// Let only those in who send this as x-api-key; the variable `DARKROOM_API_KEY` says the same.
    #[arg(long, value_name = "KEY", value_parser = api_key)]
    pub(crate) api_key: Option<String>,
}

/// What to do with a Darkroom that runs already.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Upload photos, wait for what comes of them, and fetch it.
    ///
    /// Exit codes: 0, all photos are completed; 1, it could not begin; 2, the command line cannot be read; 3, some photos
    /// failed; 130, it was stopped.
    Upload(Upload),
    /// List the newest jobs.
    Jobs(Jobs),
    /// Start jobs anew that ran out of attempts or time: put what is in the dead-letter queue back to work.
    Redrive {
        /// Address of the AWS endpoint of the Darkroom on this machine.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4566", value_parser = loopback)]
        aws_addr: SocketAddr,
    },
}

/// Which Darkroom to talk to.
#[derive(Clone, Debug, Args)]
pub(crate) struct Server {
    /// Address of the HTTP API: this machine's, or a deployed stack's `ApiUrl`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = api_url)]
    pub(crate) api: Url,

    /// What to send as x-api-key; the variable `DARKROOM_API_KEY` says the same.
    #[arg(long, value_name = "KEY", value_parser = api_key)]
    pub(crate) api_key: Option<String>,
}

/// What to upload, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct Upload {
    /// Photos, or folders: of these, the photos directly in them.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// File with the derivatives to make, as in assets/recipes; else the API's default.
    #[arg(long, value_name = "FILE")]
    pub(crate) recipe: Option<PathBuf>,

    /// Folder to fetch derivatives to; without it they are not fetched.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,

    /// How many photos are on their way at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) jobs: u8,

    /// Print a line of JSON for each photo as it is over, and nothing else.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: Server,
}

/// Which jobs to list, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct Jobs {
    /// Only those in this state.
    #[arg(long, value_parser = ["pending", "processing", "completed", "failed"], ignore_case = true)]
    pub(crate) status: Option<String>,

    /// Only those of this object key.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,

    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,

    /// Print each job as a line of JSON, as the API has it.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: Server,
}

/// The address of an API.
fn api_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    let url = url.filter(|url| url.query().is_none() && url.fragment().is_none() && url.username().is_empty());
    url.ok_or_else(|| "it has to be a URL such as http://127.0.0.1:8080, without a query".to_owned())
}

/// An address that only this machine reaches: what listens there trusts whoever comes.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "it has to be an IP address and a port, such as 127.0.0.1:8080".to_owned())?;
    // Others of 127.0.0.0/8 are loopback too, but the check of the Host header knows this one only.
    if ["127.0.0.1", "::1"].contains(&address.ip().to_string().as_str()) {
        return Ok(address);
    }
    Err("only this machine may reach Darkroom, so it has to be 127.0.0.1 or [::1]".to_owned())
}

/// The API key that the command line gives, or else the variable `DARKROOM_API_KEY`.
pub(crate) fn given_or_set(given: Option<String>) -> Result<Option<String>, String> {
    let set = || Vars::from_env().optional("DARKROOM_API_KEY");
    let key = given.or_else(set).map(|key| api_key(&key)).transpose();
    key.map_err(|why| format!("DARKROOM_API_KEY: {why}"))
}

/// An API key as it can stand in a header, and be read again by whoever sees it there.
fn api_key(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err("a key is made of visible ASCII characters, without spaces".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], expected: Result<&str, &str>) {
        let parsed = Options::try_parse_from(std::iter::once(&"darkroom").chain(arguments));
        match (parsed, expected) {
            (Ok(options), Ok(address)) => assert_eq!(options.serve.aws_addr.to_string(), address),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{arguments:?}: {error}"),
            (parsed, _) => panic!("{arguments:?}: {parsed:?}"),
        }
    }

    #[test]
    fn only_loopback_addresses_are_taken() {
        check(&[], Ok("127.0.0.1:4566"));
        check(&["--aws-addr", "127.0.0.1:0"], Ok("127.0.0.1:0"));
        check(&["--aws-addr", "[::1]:4566"], Ok("[::1]:4566"));
        check(&["--aws-addr", "0.0.0.0:4566"], Err("only this machine may reach Darkroom"));
        check(&["--aws-addr", "192.168.1.2:4566"], Err("only this machine may reach Darkroom"));
        check(&["--aws-addr", "4566"], Err("it has to be an IP address and a port"));
        check(&["--ephemeral", "--data-dir", "x"], Err("cannot be used with"));
    }

    #[test]
    fn a_key_is_visible_ascii() {
        check(&["--api-key", "k-1'\"$"], Ok("127.0.0.1:4566"));
        for bad in ["", "a b", "schlüssel", "a\nb"] {
            check(&["--api-key", bad], Err("visible ASCII"));
        }
    }

    #[test]
    fn options_of_one_command_are_not_taken_for_another() {
        for refused in [
            &["--data-dir", "x", "upload", "a.jpg"][..],
            &["--api-key", "k", "redrive"],
            &["upload", "a.jpg", "--aws-addr", "127.0.0.1:1"],
            &["upload", "a.jpg", "--ephemeral"],
            &["upload", "a.jpg", "--jobs", "0"],
            &["upload", "a.jpg", "--api", "127.0.0.1:8080"],
            &["upload", "a.jpg", "--api", "ftp://127.0.0.1"],
            &["upload"],
            &["jobs", "--out", "x"],
            &["jobs", "--status", "done"],
            &["jobs", "--limit", "0"],
            &["redrive", "--api", "http://127.0.0.1:8080"],
        ] {
            let error = Options::try_parse_from(std::iter::once(&"darkroom").chain(refused)).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{refused:?}");
        }
        for taken in [
            &["upload", "a.jpg", "b", "--api", "https://x.example/stage", "--json", "--out", "o", "--recipe", "r"][..],
            &["jobs", "--status", "FAILED", "--limit", "500", "--key", "uploads/a.jpg"],
            &["redrive", "--aws-addr", "127.0.0.1:1"],
        ] {
            assert!(Options::try_parse_from(std::iter::once(&"darkroom").chain(taken)).is_ok(), "{taken:?}");
        }
    }
}
