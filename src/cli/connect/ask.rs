//! `corecast connect https://...`: requests and their answers.

use std::fs::File;
use std::io::{self, Read, Write};

use clap::Args;
use corecast::client::{Asker, Connection, Failure as Lost, Question, Url};
use corecast::http::is_token;

use super::{lost, say, usage};
use crate::cli::Failure;

/// More than a request that somebody types should carry.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What may be said about a request.
#[derive(Args, Debug)]
pub(super) struct AskArguments {
    /// Ask with this method [default: GET, or POST with --data]
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<String>,
    /// Send this header field, as in 'Name: value'; repeatable
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    headers: Vec<String>,
    /// Send this as the body; @FILE sends what a file holds, - what standard input gives
    #[arg(short = 'd', long, value_name = "TEXT|@FILE|-", allow_hyphen_values = true)]
    data: Option<String>,
    /// Write the head of the answer, too
    #[arg(short = 'i', long)]
    include: bool,
}

impl AskArguments {
    /// Complains about whatever is only for requests.
    pub(super) fn refuse_all(&self) -> Result<(), Failure> {
        if self.method.is_some() || self.data.is_some() || self.include {
            return Err(usage("--method, --data and --include are for URLs of https and http"));
        }
        Ok(())
    }

    pub(super) const fn has_headers(&self) -> bool {
        !self.headers.is_empty()
    }

    /// The fields by name and value.
    pub(super) fn headers(&self) -> Result<Vec<(String, String)>, Failure> {
        self.headers.iter().map(|field| header(field)).collect()
    }

    /// What is asked, with these header fields.
    pub(super) fn question(&self, mut headers: Vec<(String, String)>) -> Result<Question, Failure> {
        let body = self.data.as_deref().map(body).transpose()?;
        let default = if body.is_some() { "POST" } else { "GET" };
        let method = self.method.clone().unwrap_or_else(|| default.to_owned());
        if !is_token(&method) || method == "CONNECT" {
            return Err(usage(format!("`{method}` is no method that can be asked with")));
        }
        let is_typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if let Some(body) = body.as_ref().filter(|_| !is_typed) {
            headers.push(("Content-Type".to_owned(), media_type(body).to_owned()));
        }
        Ok(Question { method, headers, body, wants_head: self.include })
    }
}

/// Asks all of `urls`. A refusal does not keep the next from being asked; the first one counts.
pub(super) fn run(
    mut asker: Asker,
    urls: &[Url],
    question: &Question,
    output: &mut dyn Write,
    told: impl Fn(&Connection),
) -> Result<(), Failure> {
    let mut refusal = None;
    for url in urls {
        let answer = asker.ask(url, question, output, &mut |connection| told(connection));
        let status = answer.map_err(|failure| lost(url, failure))?;
        if status.is_refusal() {
            let failure = lost(url, Lost::Status(status));
            match &refusal {
                None => refusal = Some(failure),
                Some(_) => say(&format!("corecast: {failure}")),
            }
        }
    }
    refusal.map_or(Ok(()), Err)
}

/// Reads `Name: value`.
fn header(field: &str) -> Result<(String, String), Failure> {
    let (name, value) =
        field.split_once(':').ok_or_else(|| usage(format!("`{field}` is no `Name: value`")))?;
    if !is_token(name) || value.chars().any(char::is_control) {
        return Err(usage(format!("`{}` is no header field", field.escape_debug())));
    }
    let ours = ["content-length", "transfer-encoding", "upgrade", "connection"];
    if ours.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return Err(usage(format!("{name} is written by itself")));
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// What `--data` means.
fn body(data: &str) -> Result<Vec<u8>, Failure> {
    let source: Box<dyn Read> = match (data, data.strip_prefix('@')) {
        ("-", _) | (_, Some("-")) => Box::new(io::stdin()),
        (_, Some(path)) => Box::new(
            File::open(path).map_err(|error| Failure::cannot(&format!("read {path}"), error))?,
        ),
        (text, None) => return Ok(text.as_bytes().to_vec()),
    };
    let mut body = Vec::new();
    let read = source.take(BODY_BYTES_MAX + 1).read_to_end(&mut body);
    read.map_err(|error| Failure::cannot("read the body", error))?;
    if body.len() as u64 > BODY_BYTES_MAX {
        return Err(usage(format!("a body may have {BODY_BYTES_MAX} bytes at most")));
    }
    Ok(body)
}

/// What a body is if nobody says it.
const fn media_type(body: &[u8]) -> &'static str {
    match str::from_utf8(body) {
        Ok(_) => "text/plain; charset=utf-8",
        Err(_) => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_field_is_taken_apart() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(header("A: b: c").unwrap(), field("A", "b: c"));
        assert_eq!(header("A:").unwrap(), field("A", ""));
        for bad in ["A", "A b: c", ": c", "A: b\r\nC: d", "content-length: 5", "Upgrade: h2c"] {
            assert!(matches!(header(bad), Err(Failure::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn a_body_has_the_type_that_it_looks_like() {
        assert_eq!(media_type(b"hello"), "text/plain; charset=utf-8");
        assert_eq!(media_type(b"\xFF"), "application/octet-stream");
    }
}
