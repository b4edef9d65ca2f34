//! Tables: what stands behind each plot, to be read on the page and taken away as a file.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::axis::Unit;
use super::markup::escaped;
use super::number;

/// The most rows that are shown; the others are in the file.
const ROWS_SHOWN_MAX: usize = 40;

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name in the page and of its file.
    pub id: &'static str,
    /// What the columns are, and what they count.
    pub head: Vec<(String, Option<Unit>)>,
    /// The rows, each as long as the head.
    pub rows: Vec<Vec<Cell>>,
}

/// What stands in a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A word.
    Word(String),
    /// A number of what its column counts; unknown is no number.
    Number(Option<f64>),
}

impl Cell {
    /// A word.
    pub fn word(word: impl Into<String>) -> Self {
        Self::Word(word.into())
    }

    /// A whole number.
    pub fn whole(number: Option<u64>) -> Self {
        Self::Number(number.map(number::of))
    }
}

impl Table {
    /// An empty table with this head.
    pub fn new(id: &'static str, head: &[(&str, Option<Unit>)]) -> Self {
        let head = head.iter().map(|(name, unit)| ((*name).to_owned(), *unit)).collect();
        Self { id, head, rows: Vec::new() }
    }

    /// The table as an element that opens when it is asked for, or is open.
    pub fn html(&self, is_open: bool) -> String {
        let head = self.head.iter().map(|(name, unit)| {
            let class = if unit.is_some() { " class=\"n\"" } else { "" };
            format!("<th scope=\"col\"{class}>{}</th>", escaped(name))
        });
        let stride = self.rows.len().div_ceil(ROWS_SHOWN_MAX).max(1);
        let rows: String = self.rows.iter().step_by(stride).map(|row| self.row(row)).collect();
        let count = match (self.rows.len(), stride) {
            (1, _) => "1 row".to_owned(),
            (count, 1) => format!("{count} rows"),
            (count, _) => format!("{count} rows, one in {stride} shown"),
        };
        format!(
            "<details{}><summary>Table <span class=\"quiet\">{count}</span></summary>\
             <button type=\"button\" data-csv=\"{}\">Download CSV</button>\
             <div class=\"scroll\" tabindex=\"0\"><table><thead><tr>{}</tr></thead>\
             <tbody>{rows}</tbody></table></div></details>\n",
            if is_open { " open" } else { "" },
            self.id,
            head.collect::<String>(),
        )
    }

    /// The table as data: numbers in base units, which the names of the columns tell.
    pub fn data(&self) -> Value {
        let head = self.head.iter().map(|(name, unit)| match unit {
            Some(Unit::Nanoseconds) => format!("{name} (ns)"),
            Some(Unit::Seconds) => format!("{name} (s)"),
            Some(Unit::Bytes) => format!("{name} (bytes)"),
            Some(Unit::Percent) => format!("{name} (%)"),
            Some(Unit::Count) | None => name.clone(),
        });
        let cell = |cell: &Cell| match cell {
            Cell::Word(word) => json!(word),
            Cell::Number(Some(number)) if number.fract() == 0.0 && *number >= 0.0 => {
                json!(number::whole(*number))
            }
            Cell::Number(number) => json!(number),
        };
        let rows = self.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>());
        json!({ "head": head.collect::<Vec<_>>(), "rows": rows.collect::<Vec<_>>() })
    }

    fn row(&self, row: &[Cell]) -> String {
        let cells = self.head.iter().zip(row).map(|((_, unit), cell)| match cell {
            Cell::Word(word) => format!("<td>{}</td>", escaped(word)),
            Cell::Number(number) => {
                let unit = unit.unwrap_or(Unit::Count);
                let text = number.map_or_else(|| "–".to_owned(), |number| said(unit, number));
                format!("<td class=\"n\">{text}</td>")
            }
        });
        format!("<tr>{}</tr>", cells.collect::<String>())
    }
}

/// All tables by their names.
pub fn data<'a>(tables: impl Iterator<Item = &'a Table>) -> BTreeMap<&'static str, Value> {
    tables.map(|table| (table.id, table.data())).collect()
}

fn said(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Seconds => format!("{value:.1} s"),
        // A change: which way is what matters.
        Unit::Percent => format!("{value:+.1} %").replace('-', "−"),
        _ if value < 0.0 => format!("−{}", number::said(unit, number::whole(-value))),
        _ => number::said(unit, number::whole(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: usize) -> Table {
        let mut table = Table::new("t", &[("<class>", None), ("p99", Some(Unit::Nanoseconds))]);
        table.rows = vec![vec![Cell::word("a<b"), Cell::whole(Some(1_500_000))]; rows];
        table
    }

    #[test]
    fn a_table_is_read_with_units_and_taken_away_without() {
        let mut table = table(1);
        let html = table.html(false);
        assert!(html.contains("&lt;class&gt;") && html.contains("a&lt;b"), "{html}");
        assert!(html.contains("<td class=\"n\">1.50 ms</td>") && html.contains("1 row"), "{html}");
        table.rows.push(vec![Cell::word("b"), Cell::whole(None)]);
        assert!(table.html(false).contains("<td class=\"n\">–</td>"));
        let data = data(std::iter::once(&table))["t"].clone();
        assert_eq!(data["head"], json!(["<class>", "p99 (ns)"]));
        assert_eq!(data["rows"], json!([["a<b", 1_500_000], ["b", null]]));
    }

    #[test]
    fn a_long_table_shows_some_of_its_rows_and_says_so() {
        let html = table(100).html(true);
        assert!(html.contains("100 rows, one in 3 shown"), "{html}");
        assert_eq!(html.matches("<tr><td>").count(), 34);
    }
}
