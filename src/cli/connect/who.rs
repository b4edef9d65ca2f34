//! Telling who a server has proved to be.

use corecast::client::Connection;
use corecast::tls::{CertificateDer, Identity};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::say;

/// Tells where `connection` leads, and who is there; `is_insecure` if nobody has checked that.
pub(super) fn tell(connection: &Connection, is_insecure: bool) {
    let place = connection.peer().map(|peer| peer.to_string()).unwrap_or_default();
    let Some(negotiated) = connection.negotiated() else {
        say(&format!("connected to {place}, without TLS"));
        return;
    };
    let resumed = if negotiated.is_resumed { ", resumed" } else { "" };
    say(&format!("connected to {place}, {}, {}{resumed}", negotiated.version, negotiated.suite()));
    let who = negotiated.chain.first().and_then(described);
    if let Some(Described { identity, issuer }) = who.filter(|_| !negotiated.is_resumed) {
        let proved = if is_insecure { "claims to be" } else { "proved to be" };
        let names: Vec<_> = identity.names().collect();
        say(&format!("  the server {proved} {} ({})", identity.subject(), names.join(", ")));
        say(&format!("  issued by {issuer}"));
        say(&format!("  SHA-256 {}", identity.fingerprint()));
    }
}

/// What a certificate says of its owner.
struct Described {
    identity: Identity,
    issuer: String,
}

fn described(certificate: &CertificateDer<'_>) -> Option<Described> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    // Whoever wrote it must not write to the terminal.
    let issuer = parsed.issuer().to_string().escape_debug().to_string();
    Some(Described { identity: Identity::of(certificate).ok()?, issuer })
}
