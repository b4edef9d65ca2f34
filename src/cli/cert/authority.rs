//! `corecast cert ca`: a self-signed authority.

use std::path::PathBuf;

use clap::Args;
use corecast::tls::pki::files::{self, AuthorityFiles, Readers};
use corecast::tls::pki::{Authority, Description, Life, NewKey, PkiError, date};

use super::super::{Failure, now};
use super::flags::{self, Force, Key};
use super::{briefly, quoted};

/// What may be said to `cert ca`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The directory to make it in
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// What people will see it called [default: corecast CA and some digits of its key]
    #[arg(long, value_name = "TEXT", value_parser = parse_common_name)]
    name: Option<String>,
    /// How many days it lasts
    #[arg(long, value_name = "N", default_value_t = 3_650, value_parser = flags::days())]
    days: u64,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    force: Force,
}

/// Makes it.
pub(super) fn run(arguments: &Arguments) -> Result<String, Failure> {
    let places = AuthorityFiles::new(briefly(&arguments.out));
    let replace = arguments.force.replace();
    files::check(&[&places.key, &places.certificate, &places.revoked], replace)?;
    let refused = |refusal| PkiError::refused(&places.certificate, refusal);
    let key = NewKey::generate(arguments.key.key).map_err(refused)?;
    let key_pem = key.pem();
    let life = Life::days(arguments.days, now()).map_err(refused)?;
    let name = arguments.name.clone().unwrap_or_else(|| format!("corecast CA {}", key.tag()));
    let authority = Authority::make(&name, key, life).map_err(refused)?;
    let own = authority.certificate();
    files::create_directory(&arguments.out)?;
    files::write(&places.key, &key_pem, Readers::Owner, replace)?;
    let pem = files::certificates_to_pem(std::slice::from_ref(own));
    files::write(&places.certificate, &pem, Readers::Everybody, replace)?;
    let list = authority.revoke_nothing(now()).map_err(refused)?;
    files::write(&places.revoked, &list, Readers::Everybody, replace)?;
    let made = Description::read(own).map_err(refused)?;
    Ok(format!(
        "authority    {certificate}  for clients to trust\n\
         key          {key}  to be shown to nobody\n\
         revoked      {revoked}  the list of what it has taken back: nothing yet\n\
         subject      {subject} ({kind})\n\
         until        {until}\n\
         SHA-256      {fingerprint}\n\
         next: corecast cert server --ca {directory}\n\
         \x20     corecast cert client --ca {directory} --name ann\n\
         \x20     browsers and systems trust it once {certificate} is imported as an authority\n",
        certificate = quoted(&places.certificate),
        key = quoted(&places.key),
        revoked = quoted(&places.revoked),
        subject = made.subject,
        kind = made.key,
        until = date(authority.not_after()),
        fingerprint = made.fingerprint,
        directory = quoted(&arguments.out),
    ))
}

/// RFC 5280 appendix A: `ub-common-name`.
const COMMON_NAME_CHARS_MAX: usize = 64;

fn parse_common_name(text: &str) -> Result<String, String> {
    let count = text.chars().count();
    if (1..=COMMON_NAME_CHARS_MAX).contains(&count) && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(format!("a name has 1 to {COMMON_NAME_CHARS_MAX} characters, none to control with"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_name_has_a_length() {
        for (text, is_good) in [
            (String::new(), false),
            ("a".repeat(64), true),
            ("ä".repeat(64), true),
            ("a".repeat(65), false),
            ("a\nb".to_owned(), false),
        ] {
            assert_eq!(parse_common_name(&text).is_ok(), is_good, "{text:?}");
        }
    }
}
