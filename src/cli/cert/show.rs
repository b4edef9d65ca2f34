//! `corecast cert show`: what certificates say.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use corecast::client::{Connection, Dialer, Url};
use corecast::tls::config::{Trust, returning_client_config};
use corecast::tls::pki::files::{self, Item};
use corecast::tls::pki::{
    Description, PkiError, Refusal, Request, Standing, date, is_signed_by, verify,
};
use corecast::tls::{CertificateDer, Fault, ServerName, trust};

use super::super::{Failure, identity, now};
use super::flags::list;

/// What may be said to `cert show`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// A file with certificates or a signing request (PEM or DER), or the URL of a server (https,
    /// wss, or tls with a port)
    #[arg(value_name = "FILE|URL")]
    target: PathBuf,
    /// Trust the authorities of this PEM file instead of the system's (and, for this machine, the
    /// development authority)
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// How long a server may take, to be reached and to shake hands.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shows them.
pub(super) fn run(arguments: &Arguments) -> Result<String, Failure> {
    match arguments.target.to_str().filter(|target| target.contains("://")) {
        Some(url) => of_server(&server(url)?, arguments.ca.as_deref()),
        None if arguments.ca.is_some() => {
            Err(Failure::Usage("--ca goes with the URL of a server".to_owned()))
        }
        None => of_file(&arguments.target),
    }
}

/// The server of a URL, if it has a certificate.
fn server(text: &str) -> Result<Url, Failure> {
    let url: Url = text.parse().map_err(Failure::Usage)?;
    if url.scheme.is_secure() {
        return Ok(url);
    }
    Err(Failure::Usage(format!("{text}: only https, wss and tls have certificates")))
}

fn of_file(path: &Path) -> Result<String, Failure> {
    let items = files::read_items(path)?;
    Ok(describe(&items, now()).map_err(|refusal| PkiError::refused(path, refusal))?)
}

/// What a server shows, whether or not it is to be believed, and which of the two.
fn of_server(server: &Url, authorities: Option<&Path>) -> Result<String, Failure> {
    // A file that somebody names is to be there; a system without authorities believes nobody.
    let trust = match authorities {
        Some(path) => Ok(trust::in_file(path)?),
        None => trust::system(development_authority(server).as_deref()),
    };
    let place = server.place();
    let failed = |reason: &dyn Display| Failure::World(format!("{place}: {reason}"));
    // Nobody has to be believed to be shown.
    let tls = returning_client_config(Trust::Anyone, None, &["http/1.1"])?;
    let dialer = Dialer { tls: Some(tls), server_name: None, timeout: PATIENCE };
    let connection = Connection::open(server, &dialer).map_err(|failure| failed(&failure))?;
    let settled = connection.negotiated().ok_or_else(|| failed(&"it has not shown who it is"))?;
    let verdict = match trust {
        Err(error) => format!("unknown: {error}"),
        Ok(trust) => verdict(settled.chain, trust, server)?,
    };
    let items: Vec<_> =
        settled.chain.iter().map(|it| Item::Certificate(it.clone().into_owned())).collect();
    let described = describe(&items, now()).map_err(|refusal| failed(&refusal))?;
    let agreed = format!("{}, {}", settled.version, settled.suite());
    Ok(format!("server       {place} ({agreed})\nverifies     {verdict}\n\n{described}"))
}

fn verdict(chain: &[CertificateDer<'_>], trust: Trust, server: &Url) -> Result<String, Failure> {
    let believed = match trust {
        Trust::Anyone => Ok(()),
        Trust::Authorities(them) => verify::server(chain, &them, &name_of(server)?, now()),
    };
    Ok(match believed {
        Ok(()) => format!("yes, as {}", server.host),
        Err(error) => format!("NO: {}", Fault::from(error)),
    })
}

/// The name that its certificate must have.
fn name_of(server: &Url) -> Result<ServerName<'static>, Failure> {
    ServerName::try_from(server.host.clone()).map_err(|error| Failure::Usage(error.to_string()))
}

/// The development authority, which is believed on this machine only.
fn development_authority(server: &Url) -> Option<PathBuf> {
    server.is_local().then(identity::development_authority)?
}

/// All of `items`, one after the other, and how they hang together.
fn describe(items: &[Item], now: SystemTime) -> Result<String, Refusal> {
    let parts = items.iter().enumerate().map(|(at, item)| match item {
        Item::Request(der) => Request::read(der).map(|request| asked(&request)),
        Item::Certificate(der) => {
            let said = said(&Description::read(der)?, now);
            Ok(format!("certificate  {} of {}\n{said}", at + 1, items.len()) + &link(items, at))
        }
    });
    Ok(parts.collect::<Result<Vec<_>, _>>()?.join("\n"))
}

fn asked(request: &Request) -> String {
    format!(
        "request      signed with its own key\n\
         subject      {}\n\
         names        {}\n\
         key          {}\n",
        request.subject,
        list(&request.names),
        request.key,
    )
}

fn said(certificate: &Description, now: SystemTime) -> String {
    let standing = certificate.standing(now);
    let revoked = match &certificate.crl_urls[..] {
        [] => String::new(),
        urls => format!("revoked      listed at {}\n", urls.join(", ")),
    };
    let warning = match standing {
        Standing::Valid { .. } => String::new(),
        _ => format!("WARNING      {standing}\n"),
    };
    format!(
        "subject      {subject}\n\
         names        {names}\n\
         issuer       {issuer}\n\
         from         {from}\n\
         until        {until} ({standing})\n\
         key          {key}\n\
         for          {purposes}\n\
         serial       {serial}\n\
         SHA-256      {fingerprint}\n\
         {revoked}{warning}",
        subject = certificate.subject,
        names = list(&certificate.names),
        issuer = certificate.issuer,
        from = date(certificate.not_before),
        until = date(certificate.not_after),
        key = certificate.key,
        purposes = purposes(certificate),
        serial = certificate.serial,
        fingerprint = certificate.fingerprint,
    )
}

fn purposes(certificate: &Description) -> String {
    let issuing = certificate.is_authority.then_some("issuing certificates");
    let purposes: Vec<_> = issuing.into_iter().chain(certificate.purposes.clone()).collect();
    if purposes.is_empty() { "anything".to_owned() } else { purposes.join(", ") }
}

/// Who of `items` has signed the certificate at `at`.
fn link(items: &[Item], at: usize) -> String {
    let certificate = |at: usize| match items.get(at) {
        Some(Item::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    let signed = certificate(at);
    let has_signed = |issuer: usize| {
        signed.zip(certificate(issuer)).is_some_and(|(signed, it)| is_signed_by(signed, it))
    };
    let link = match (0..items.len()).find(|issuer| has_signed(*issuer)) {
        Some(issuer) if issuer == at => "signed by itself".to_owned(),
        Some(issuer) if issuer == at + 1 => "signed by the next one".to_owned(),
        Some(issuer) => format!("signed by number {}, which should be the next one", issuer + 1),
        None if at + 1 < items.len() => "not signed by any other here".to_owned(),
        None => "its issuer is not here".to_owned(),
    };
    format!("chain        {link}\n")
}
