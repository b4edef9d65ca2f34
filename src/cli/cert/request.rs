//! `corecast cert csr`: a key, and a request that somebody else signs.

use std::path::PathBuf;

use clap::Args;
use corecast::tls::pki::development::NAMES;
use corecast::tls::pki::files::{self, Readers};
use corecast::tls::pki::{Name, NewKey, PkiError, Request};

use super::super::Failure;
use super::flags::{Force, Key, distinct, list};
use super::{place, quoted};

/// What may be said to `cert csr`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Whom the certificate will be for: DNS names, IP addresses, e-mail addresses, URIs
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values = NAMES)]
    name: Vec<Name>,
    /// The directory to make them in
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    force: Force,
}

/// Makes both.
pub(super) fn run(arguments: &Arguments) -> Result<String, Failure> {
    let (names, first) = distinct(&arguments.name)?;
    let stem = first.file_stem();
    let key_path = place(&arguments.out, &format!("{stem}-key.pem"));
    let path = place(&arguments.out, &format!("{stem}.csr"));
    let replace = arguments.force.replace();
    files::check(&[&key_path, &path], replace)?;
    let refused = |refusal| PkiError::refused(&path, refusal);
    let key = NewKey::generate(arguments.key.key).map_err(refused)?;
    let request = Request::make(&names, &key).map_err(refused)?;
    files::create_directory(&arguments.out)?;
    files::write(&key_path, key.pem(), Readers::Owner, replace)?;
    files::write(&path, files::request_to_pem(&request), Readers::Everybody, replace)?;
    Ok(format!(
        "request      {request}  to be signed\n\
         key          {key}  to be shown to nobody, also not to who signs\n\
         names        {names}\n\
         next: corecast cert sign {request} --ca DIR\n",
        request = quoted(&path),
        key = quoted(&key_path),
        names = list(&names),
    ))
}
