//! `corecast cert server` and `corecast cert client`: key, request and certificate in one step.

use std::path::PathBuf;

use clap::Args;
use corecast::tls::pki::development::NAMES;
use corecast::tls::pki::files::{self, AuthorityFiles, Readers};
use corecast::tls::pki::{Description, Life, Name, NewKey, PkiError, Purpose, Refusal, Request};

use super::super::{Failure, now};
use super::flags::{Force, Key, Signing, distinct};
use super::sign::told;
use super::{briefly, next_command, place, quoted, read_authority};

/// What may be said to `cert server`.
#[derive(Args, Debug)]
pub(super) struct Server {
    /// The hosts that it is for: DNS names, perhaps with a star (*.example.com), and IP addresses
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values = NAMES)]
    name: Vec<Name>,
    #[command(flatten)]
    common: Common,
}

/// What may be said to `cert client`.
#[derive(Args, Debug)]
pub(super) struct Client {
    /// Whom it is for: DNS names (also short ones: ann), e-mail addresses, URIs, IP addresses
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true)]
    name: Vec<Name>,
    #[command(flatten)]
    common: Common,
}

/// What may be said to either.
#[derive(Args, Debug)]
struct Common {
    #[command(flatten)]
    signing: Signing,
    /// The directory to make them in [default: that of the authority]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    force: Force,
}

/// What either was told.
pub(super) struct Arguments {
    name: Vec<Name>,
    common: Common,
}

impl From<Server> for Arguments {
    fn from(Server { name, common }: Server) -> Self {
        Self { name, common }
    }
}

impl From<Client> for Arguments {
    fn from(Client { name, common }: Client) -> Self {
        Self { name, common }
    }
}

/// Makes key and certificate.
pub(super) fn run(arguments: Arguments, purpose: Purpose) -> Result<String, Failure> {
    let Arguments { name, common: Common { signing, out, key, force } } = arguments;
    let (names, first) = distinct(&name)?;
    let directory = out.as_ref().unwrap_or(&signing.ca);
    let path = place(directory, &format!("{}.pem", first.file_stem()));
    let key_path = place(directory, &format!("{}-key.pem", first.file_stem()));
    let authority = read_authority(&signing)?;
    files::check(&[&key_path, &path], force.replace())?;

    let refused = |refusal| PkiError::refused(&path, refusal);
    let key = NewKey::generate(key.key).map_err(refused)?;
    let request = Request::make(&names, &key).and_then(|der| Request::read(&der));
    let life = Life::days(signing.days, now()).map_err(refused)?;
    let chain = authority.sign(&request.map_err(refused)?, purpose, life, now());
    let chain = chain.map_err(refused)?;
    files::create_directory(directory)?;
    files::write(&key_path, key.pem(), Readers::Owner, force.replace())?;
    let pem = files::certificates_to_pem(&chain);
    files::write(&path, &pem, Readers::Everybody, force.replace())?;

    let made = chain.first().ok_or(Refusal::Nameless).and_then(Description::read);
    let made = made.map_err(refused)?;
    let authority = AuthorityFiles::new(briefly(&signing.ca)).certificate;
    Ok(told(&path, &made, purpose)
        + &format!("key          {}  to be shown to nobody\n", quoted(&key_path))
        + &next_command(&made, purpose, [&path, &key_path, &authority]))
}
