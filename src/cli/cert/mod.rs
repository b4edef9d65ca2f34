//! `corecast cert`: certificates without half a dozen commands of `openssl`. One file a command.

mod authority;
mod flags;
mod issue;
mod request;
mod show;
mod sign;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use corecast::tls::pki::files::AuthorityFiles;
use corecast::tls::pki::{Authority, Description, Name, Purpose};

use super::Failure;
use flags::Signing;

/// What may be said to `cert`.
#[derive(Args, Debug)]
#[command(arg_required_else_help = false)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an authority: ca.pem for clients to trust, ca-key.pem to sign with
    Ca(authority::Arguments),
    /// Make a key and a signing request for others to sign
    Csr(request::Arguments),
    /// Sign a request: a server's certificate, or with --client a client's
    Sign(sign::Arguments),
    /// Make a key and a certificate for a server, in one step
    Server(issue::Server),
    /// Make a key and a certificate for a client, in one step
    Client(issue::Client),
    /// Show the certificates of a file, or those that a server shows
    Show(show::Arguments),
}

/// Does what was asked for, and says on standard output what was done and what may come next.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let told = match arguments.command {
        Command::Ca(arguments) => authority::run(&arguments)?,
        Command::Csr(arguments) => request::run(&arguments)?,
        Command::Sign(arguments) => sign::run(&arguments)?,
        Command::Server(arguments) => issue::run(arguments.into(), Purpose::Server)?,
        Command::Client(arguments) => issue::run(arguments.into(), Purpose::Client)?,
        Command::Show(arguments) => show::run(&arguments)?,
    };
    super::say(&told)
}

/// The authority that is to sign, or how to make one there.
fn read_authority(signing: &Signing) -> Result<Authority, Failure> {
    let directory = &signing.ca;
    let files = AuthorityFiles::new(briefly(directory));
    let read = files.read().map(|authority| authority.with_crl_url(signing.crl_url.clone()));
    read.map_err(|error| {
        if files.certificate.exists() {
            return error.into();
        }
        let directory = quoted(directory);
        Failure::World(format!("{error} (corecast cert ca --out {directory} makes an authority)"))
    })
}

/// Where the certificate `made` is, and how to try it.
fn next_command(
    made: &Description,
    purpose: Purpose,
    [certificate, key, authority]: [&Path; 3],
) -> String {
    let [certificate, key, authority] = [certificate, key, authority].map(quoted);
    match purpose {
        Purpose::Server => format!(
            "next: corecast serve --tls-cert {certificate} --tls-key {key}\n\
             \x20     curl --cacert {authority} https://{}:8443/\n",
            host(made),
        ),
        Purpose::Client => format!(
            "next: curl --cacert {authority} --cert {certificate} --key {key} \
             https://localhost:8443/\n"
        ),
    }
}

/// A host that a server's certificate is good for, as it stands in a URL.
fn host(made: &Description) -> String {
    match made.names.first() {
        Some(Name::Ip(IpAddr::V6(address))) => format!("[{address}]"),
        Some(name) => name.to_string().replacen('*', "www", 1),
        None => "localhost".to_owned(),
    }
}

/// `name` in `directory`, said as short as can be.
fn place(directory: &Path, name: &str) -> PathBuf {
    briefly(directory).join(name)
}

/// A directory that is nothing in front of a name if it is where we are.
fn briefly(directory: &Path) -> &Path {
    if directory == Path::new(".") { Path::new("") } else { directory }
}

/// A path as a shell understands it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-@:+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_to_a_shell() {
        for (path, word) in [
            ("pki/ca.pem", "pki/ca.pem"),
            ("my pki", "'my pki'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(Path::new(path)), word);
        }
    }
}
