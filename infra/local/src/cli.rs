//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use shared::config::Vars;

/// Darkroom on this machine: the HTTP API, the web page, and S3, DynamoDB, SQS and SNS in one process.
#[derive(Clone, Debug, Parser)]
#[command(name = "darkroom", version)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

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
    #[arg(long, global = true, value_name = "ADDRESS", default_value = "127.0.0.1:4566", value_parser = loopback)]
    pub(crate) aws_addr: SocketAddr,

    /// Let only those in who send this as x-api-key; the variable `DARKROOM_API_KEY` says the same.
    #[arg(long, value_name = "KEY", value_parser = api_key)]
    pub(crate) api_key: Option<String>,
}

/// What to do with a Darkroom that runs already.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Command {
    /// Start jobs anew that ran out of attempts or time: put what is in the dead-letter queue back to work.
    Redrive,
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
            (Ok(options), Ok(address)) => assert_eq!(options.aws_addr.to_string(), address),
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
}
