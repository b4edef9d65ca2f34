//! The page as a whole: all of its parts, nothing from outside, nothing that breaks out.

use super::*;
use crate::result::sample;

fn shown(document: &Document) -> String {
    page(document, None)
}

#[test]
fn a_page_needs_nothing_from_outside() {
    let page = shown(&sample::document(1, &[1_000_000; 30]));
    for outside in ["http://", "https://", "url(", "@import", " src=", "<link"] {
        let found: Vec<_> = page.match_indices(outside).map(|(at, _)| at).collect();
        assert_eq!(found, [0; 0], "{outside}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn whatever_a_document_says_stays_text() {
    let mut document = sample::document(1, &[1_000_000; 30]);
    let evil = "</script><script>alert(1)</script><b a=\"'&";
    document.labels.insert(evil.to_owned(), evil.to_owned());
    document.argv = vec![evil.to_owned()];
    document.seed = evil.to_owned();
    document.plan.url = evil.to_owned();
    document.plan.scenario.name = evil.to_owned();
    document.plan.phases[0].name = evil.to_owned();
    document.verdict.text = evil.to_owned();
    document.machine.kernel = Some(evil.to_owned());
    document.validity.valid = false;
    document.validity.reasons = vec![evil.to_owned()];
    document.validity.notes = vec![evil.to_owned()];
    let event = crate::series::Event { t_ns: 1, class: evil.to_owned(), count: 1 };
    document.series.events = vec![event];
    let page = page(&document, Some(&document));
    // Ours: the result, the base, the tables and what gives them away.
    assert_eq!((page.matches("<script").count(), page.matches("</script>").count()), (4, 4));
    assert!(!page.contains("<b a="), "an element of the document's");
}

#[test]
fn a_part_without_anything_to_draw_says_so_in_a_line() {
    let page = shown(&sample::document(1, &[]));
    let (_, rest) = page.split_once("id=\"rest\"").unwrap();
    for part in ["capacity", "errors", "models", "heat", "establish", "fanout", "memory", "cores"] {
        assert!(rest.contains(&format!("<dt id=\"{part}\">")), "{part}");
        assert!(!page.contains(&format!("<section id=\"{part}\"")), "{part}");
    }
}

#[test]
fn an_invalid_run_is_marked_on_every_plot() {
    let mut document = sample::document(1, &[1_000_000; 30]);
    let plots = shown(&document).matches("<svg").count();
    assert!(plots >= 3, "{plots}");
    document.validity.valid = false;
    document.validity.reasons = vec!["the loop lagged".to_owned()];
    let page = shown(&document);
    assert_eq!(page.matches("class=\"f invalid\"").count(), plots);
    assert!(page.contains("role=\"alert\"") && page.contains("the loop lagged"));
}

#[test]
fn the_base_is_drawn_and_told_beside_the_run() {
    let (run, base) =
        (sample::document(1, &[1_000_000; 30]), sample::document(2, &[2_000_000; 30]));
    let page = page(&run, Some(&base));
    assert!(page.contains("id=\"comparison\"") && page.contains("class=\"s base\""));
    assert!(page.contains("−50.0 %"), "half as slow");
    assert!(page.contains("id=\"base\"") && !shown(&run).contains("id=\"base\""));
}

#[test]
fn what_is_carried_is_the_result_and_can_be_read_again() {
    let document = sample::document(7, &[1_000_000; 30]);
    let page = shown(&document);
    let (_, rest) = page.split_once("id=\"result\">").unwrap();
    let (json, _) = rest.split_once("</script>").unwrap();
    let read: Document = serde_json::from_str(json).unwrap();
    assert_eq!((&read.seed, &read.latency), (&document.seed, &document.latency));
}

#[test]
fn a_long_run_makes_no_long_page() {
    let document = sample::document(1, &vec![1_000_000; 15_000]);
    let page = shown(&document);
    assert!(page.len() < 1_000_000, "{}", page.len());
    assert!(page.contains("is thinned here"));
    let condensed = condensed(&document);
    assert!(condensed.series.rows.len() <= TICKS_CARRIED_MAX);
    assert_eq!(condensed.series.rows.len(), condensed.series.heat.ticks.len());
}
