//! The report as a page: one file with everything in it, for people who were not there.
//!
//! ```text
//!   Document --> Subject --> parts (plots, tables) --> page        and back out of it:
//!   (and BASE)   columns,    connections, percentiles,  HTML, SVG,  the tables as CSV, the
//!                histograms  heat, memory, cores, ...   CSS, JSON   results as JSON
//! ```
//!
//! The page loads nothing and asks nobody: the policy in its head forbids that, and allows one
//! script, ours, by its digest. Whatever a document says goes through [`markup`] first. A part
//! that the run has nothing for says so in a line.

// A page is put together once, and allocates whatever reads well.
#![allow(clippy::format_push_string, clippy::format_collect)]

mod axis;
pub mod command;
mod ladder;
mod markup;
mod memory;
mod models;
mod number;
mod part;
mod plot;
mod subject;
mod summary;
mod table;
mod tails;
mod timeline;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use self::markup::{data, escaped};
use self::part::Part;
use self::subject::Subject;
use crate::result::Document;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");

/// The digest of the script, without which no browser runs it. A browser that finds another one
/// says which: `tests/report.rs` looks.
const SCRIPT_DIGEST: &str = "sha256-25gu3KIM+408fP6FKf+ev1Hl36A75nUuhe55pdGj2f4=";

/// More ticks than this are not carried: a page of a week would be too large to be sent around.
const TICKS_CARRIED_MAX: usize = 2_000;

/// The page of `document`, and of what it is compared with.
pub fn page(document: &Document, base: Option<&Document>) -> String {
    let (run, before) = (Subject::new(document), base.map(Subject::new));
    let parts = parts(&run, before.as_ref());
    let tables: BTreeMap<&str, Value> =
        table::data(parts.iter().flat_map(|part| part.tables.iter()));
    let (undrawn, drawn): (Vec<_>, Vec<_>) = parts.iter().partition(|part| part.is_bare());
    let drawn: String = drawn.into_iter().map(|part| part.html(run.is_valid())).collect();
    let undrawn: String = undrawn.into_iter().map(Part::line).collect();
    let rest = if undrawn.is_empty() {
        undrawn
    } else {
        format!(
            "<section class=\"part wide\" id=\"rest\"><h2>Without a plot</h2>\
             <dl>\n{undrawn}</dl></section>\n"
        )
    };
    let title = format!("loadgen: {}", document.verdict.text);
    let carried = |id: &str, document: &Document| {
        let document = data(&condensed(document));
        format!("<script type=\"application/json\" id=\"{id}\">{document}</script>\n")
    };
    let base = base.map(|base| carried("base", base)).unwrap_or_default();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src '{SCRIPT_DIGEST}'; base-uri 'none'; \
         form-action 'none'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style></head>\n<body>\n{}<main>\n{}{drawn}\
         {rest}</main>\n{}\
         <script type=\"application/json\" id=\"tables\">{}</script>\n{}{base}\
         <script>{SCRIPT}</script>\n</body></html>\n",
        escaped(&title),
        summary::head(&run),
        summary::judgements(&run),
        footer(document, before.is_some()),
        data(&tables),
        carried("result", document),
    )
}

/// All parts, in the order in which questions arise.
fn parts(run: &Subject<'_>, base: Option<&Subject<'_>>) -> Vec<Part> {
    let compared = base.map(|base| summary::comparison(run, base));
    compared
        .into_iter()
        .chain([
            timeline::connections(run, base),
            ladder::ladder(run, base),
            timeline::errors(run),
            tails::percentiles(run, base),
            tails::heat_map(run, base),
            tails::waterfall(run, base),
            tails::spread(run, base),
            memory::memory(run, base),
            models::models(run),
            timeline::cores(run, base),
            timeline::generator(run, base),
            summary::machine(run),
        ])
        .collect()
}

fn footer(document: &Document, is_compared: bool) -> String {
    let base = if is_compared {
        "<button type=\"button\" data-json=\"base\">Download the base as JSON</button>"
    } else {
        ""
    };
    format!(
        "<footer><button type=\"button\" data-json=\"result\">Download the result as JSON</button>\
         {base}<p>Written by loadgen {}. Every time counts from when something should have \
         begun; what is unknown is left out, and never 0.{}</p></footer>\n",
        escaped(&document.tool.version),
        if document.series.rows.len() > TICKS_CARRIED_MAX {
            " The series of the result is thinned here; the file it was made from has all of it."
        } else {
            ""
        }
    )
}

/// `document` with no more of its series than a page may carry.
fn condensed(document: &Document) -> Cow<'_, Document> {
    let stride = document.series.rows.len().div_ceil(TICKS_CARRIED_MAX).max(1);
    if stride == 1 {
        return Cow::Borrowed(document);
    }
    let mut document = document.clone();
    let series = &mut document.series;
    series.rows = std::mem::take(&mut series.rows).into_iter().step_by(stride).collect();
    series.heat.ticks =
        std::mem::take(&mut series.heat.ticks).into_iter().step_by(stride).collect();
    series.events.truncate(TICKS_CARRIED_MAX);
    Cow::Owned(document)
}

#[cfg(test)]
mod tests;
