//! `corecast cert show`: what certificates say.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use corecast::tls::config::Trust;
use corecast::tls::pki::files::{self, Item};
use corecast::tls::pki::{
    Description, PkiError, Refusal, Request, Standing, date, is_signed_by, verify,
};
use corecast::tls::{CertificateDer, Fault, trust};

use super::super::{Failure, identity, now};
use super::fetch::{Server, Shown};
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

/// Shows them.
pub(super) fn run(arguments: &Arguments) -> Result<String, Failure> {
    match arguments.target.to_str().and_then(Server::of) {
        Some(server) => of_server(&server?, arguments.ca.as_deref()),
        None if arguments.ca.is_some() => {
            Err(Failure::Usage("--ca goes with the URL of a server".to_owned()))
        }
        None => of_file(&arguments.target),
    }
}

fn of_file(path: &Path) -> Result<String, Failure> {
    let items = files::read_items(path)?;
    Ok(describe(&items, now()).map_err(|refusal| PkiError::refused(path, refusal))?)
}

/// What a server shows, whether or not it is to be believed, and which of the two.
fn of_server(server: &Server, authorities: Option<&Path>) -> Result<String, Failure> {
    // A file that somebody names is to be there; a system without authorities believes nobody.
    let trust = match authorities {
        Some(path) => Ok(trust::in_file(path)?),
        None => trust::system(development_authority(server).as_deref()),
    };
    let Shown { chain, agreed } = server.visit()?;
    let verdict = match trust {
        Err(error) => format!("unknown: {error}"),
        Ok(trust) => verdict(&chain, trust, server)?,
    };
    let items: Vec<_> = chain.into_iter().map(Item::Certificate).collect();
    let described = describe(&items, now())
        .map_err(|refusal| Failure::World(format!("{server}: {refusal}")))?;
    Ok(format!("server       {server} ({agreed})\nverifies     {verdict}\n\n{described}"))
}

fn verdict(chain: &[CertificateDer<'_>], trust: Trust, server: &Server) -> Result<String, Failure> {
    let believed = match trust {
        Trust::Anyone => Ok(()),
        Trust::Authorities(them) => verify::server(chain, &them, &server.name()?, now()),
    };
    Ok(match believed {
        Ok(()) => format!("yes, as {}", server.host),
        Err(error) => format!("NO: {}", Fault::from(error)),
    })
}

/// The development authority, which is believed on this machine only.
fn development_authority(server: &Server) -> Option<PathBuf> {
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
