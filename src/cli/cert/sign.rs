//! `corecast cert sign`: a certificate for somebody else's key.

use std::path::{Path, PathBuf};

use clap::Args;
use corecast::tls::pki::files::{self, AuthorityFiles, Item, Readers};
use corecast::tls::pki::{Description, Life, PkiError, Purpose, Refusal, Request, date};

use super::super::{Failure, now};
use super::flags::{Force, Signing, list};
use super::{briefly, next_command, place, quoted, read_authority};

/// What may be said to `cert sign`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The signing request (PKCS #10, as PEM or DER)
    request: PathBuf,
    #[command(flatten)]
    signing: Signing,
    /// Sign it for a client and not for a server
    #[arg(long)]
    client: bool,
    /// The directory for the certificate [default: that of the request]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    force: Force,
}

/// Signs it.
pub(super) fn run(arguments: &Arguments) -> Result<String, Failure> {
    let request = read(&arguments.request)?;
    let authority = read_authority(&arguments.signing)?;
    let path = arguments.place();
    let replace = arguments.force.replace();
    files::check(&[&path], replace)?;
    let purpose = if arguments.client { Purpose::Client } else { Purpose::Server };
    let refused = |refusal| PkiError::refused(&arguments.request, refusal);
    let life = Life::days(arguments.signing.days, now()).map_err(refused)?;
    let chain = authority.sign(&request, purpose, life, now()).map_err(refused)?;
    if let Some(directory) = &arguments.out {
        files::create_directory(directory)?;
    }
    let pem = files::certificates_to_pem(&chain);
    files::write(&path, &pem, Readers::Everybody, replace)?;
    let made = chain.first().ok_or(Refusal::Nameless).and_then(Description::read);
    let made = made.map_err(refused)?;
    let authority = AuthorityFiles::new(briefly(&arguments.signing.ca)).certificate;
    Ok(told(&path, &made, purpose)
        + &next_command(&made, purpose, [&path, &key_of(&arguments.request), &authority]))
}

impl Arguments {
    /// Where the certificate goes: `a.csr` becomes `a.pem`, and `a.pem` is not overwritten by it.
    fn place(&self) -> PathBuf {
        let is_pem = self.request.extension().is_some_and(|extension| extension == "pem");
        let stem = self.request.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}{}.pem", if is_pem { "-cert" } else { "" });
        match &self.out {
            Some(directory) => place(directory, &name),
            None => self.request.with_file_name(name),
        }
    }
}

/// Longer than this no server may be certified for clients of Apple.
const APPLE_DAYS_MAX: u64 = 825;

/// What has been made, for whom, and until when.
pub(super) fn told(path: &Path, made: &Description, purpose: Purpose) -> String {
    let is_server = purpose == Purpose::Server;
    let whose = if is_server { "server" } else { "client" };
    let days =
        made.not_after.duration_since(made.not_before).unwrap_or_default().as_secs() / 86_400;
    let warning = if is_server && days > APPLE_DAYS_MAX {
        "WARNING      macOS and iOS refuse servers' certificates of more than 825 days\n"
    } else {
        ""
    };
    format!(
        "certificate  {path}  of a {whose}\n\
         subject      {subject} ({kind})\n\
         names        {names}\n\
         issuer       {issuer}\n\
         until        {until}\n\
         SHA-256      {fingerprint}\n\
         {warning}",
        path = quoted(path),
        subject = made.subject,
        kind = made.key,
        names = list(&made.names),
        issuer = made.issuer,
        until = date(made.not_after),
        fingerprint = made.fingerprint,
    )
}

/// Reads the one request of a file.
fn read(path: &Path) -> Result<Request, PkiError> {
    let refused = |refusal| PkiError::refused(path, refusal);
    let mut requests = files::read_items(path)?.into_iter().filter_map(|item| match item {
        Item::Request(der) => Some(der),
        Item::Certificate(_) => None,
    });
    match (requests.next(), requests.next()) {
        (Some(request), None) => Request::read(&request).map_err(refused),
        (None, _) => {
            let reason = "there is no signing request in it, but a certificate";
            Err(refused(Refusal::Malformed(reason.to_owned())))
        }
        (Some(_), Some(_)) => {
            let reason = "there are several signing requests in it";
            Err(refused(Refusal::Malformed(reason.to_owned())))
        }
    }
}

/// Where `cert csr` has put the key of a request; whoever brought another one knows where it is.
fn key_of(request: &Path) -> PathBuf {
    let stem = request.file_stem().unwrap_or_default().to_string_lossy();
    let key = request.with_file_name(format!("{stem}-key.pem"));
    if key.exists() { key } else { PathBuf::from("KEY") }
}
