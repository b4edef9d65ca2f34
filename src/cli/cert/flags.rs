//! What several commands of `cert` may be told.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Args, Command, Error};
use corecast::tls::pki::files::Replace;
use corecast::tls::pki::{CrlUrl, DAYS_MAX, KeyKind, NAMES_MAX, Name};

use super::super::Failure;

/// The flag `--key`.
#[derive(Args, Debug)]
pub(super) struct Key {
    /// What kind of key to make; browsers do not take ed25519
    #[arg(long, value_name = "KIND", default_value = "p256", value_parser = KeyKinds)]
    pub(super) key: KeyKind,
}

/// The flag `--force`.
#[derive(Args, Debug)]
pub(super) struct Force {
    /// Replace files that exist
    #[arg(long)]
    force: bool,
}

impl Force {
    pub(super) const fn replace(&self) -> Replace {
        if self.force { Replace::Always } else { Replace::Never }
    }
}

/// Where an authority is, and what it is to sign.
#[derive(Args, Debug)]
pub(super) struct Signing {
    /// The directory of the authority, with ca.pem and ca-key.pem
    #[arg(long, value_name = "DIR")]
    pub(super) ca: PathBuf,
    /// How many days the certificate lasts
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = days())]
    pub(super) days: u64,
    /// Have the certificate say where the authority's list of revoked certificates (ca.crl) is
    /// published: http://, ldap:// or file:///
    #[arg(long, value_name = "URL")]
    pub(super) crl_url: Option<CrlUrl>,
}

/// What `--days` takes.
pub(super) fn days() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=DAYS_MAX)
}

/// What `--key` takes: offered in help and completions, refused with the reason.
#[derive(Clone, Copy, Debug)]
struct KeyKinds;

impl TypedValueParser for KeyKinds {
    type Value = KeyKind;

    fn parse_ref(
        &self,
        _command: &Command,
        _flag: Option<&Arg>,
        value: &OsStr,
    ) -> Result<KeyKind, Error> {
        let text = value.to_string_lossy();
        text.parse().map_err(|refusal| {
            Error::raw(ErrorKind::InvalidValue, format!("--key {text}: {refusal}\n"))
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(KeyKind::ALL.into_iter().map(|kind| PossibleValue::new(kind.name()))))
    }
}

/// `names` without those that stand there twice, and the first of them.
pub(super) fn distinct(names: &[Name]) -> Result<(Vec<Name>, &Name), Failure> {
    let mut distinct: Vec<Name> = Vec::new();
    for name in names {
        if !distinct.contains(name) {
            distinct.push(name.clone());
        }
    }
    if distinct.len() > NAMES_MAX {
        return Err(Failure::Usage(format!("--name: {NAMES_MAX} names are the most")));
    }
    let first = names.first().ok_or_else(|| Failure::Usage("--name: no name".to_owned()))?;
    Ok((distinct, first))
}

/// Names as one reads them.
pub(super) fn list(names: &[Name]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
