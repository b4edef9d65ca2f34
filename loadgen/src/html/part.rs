//! A part of the page: a question, the plots that answer it, and the numbers behind them.

use super::markup::escaped;
use super::plot::Plot;
use super::table::Table;

/// One of the parts of the page.
#[derive(Clone, Debug)]
pub struct Part {
    /// What leads to it.
    pub id: &'static str,
    title: &'static str,
    /// How to read it, in a sentence or two.
    about: String,
    figures: Vec<Figure>,
    /// The numbers behind the plots.
    pub tables: Vec<Table>,
}

#[derive(Clone, Debug)]
struct Figure {
    caption: String,
    plot: Plot,
}

impl Part {
    /// A part without a plot yet: then it consists of what it is about, which says why.
    pub fn new(id: &'static str, title: &'static str, about: impl Into<String>) -> Self {
        Self { id, title, about: about.into(), figures: Vec::new(), tables: Vec::new() }
    }

    /// Adds a plot. Its caption says what can be seen in it, for those who cannot see it too.
    pub fn plot(&mut self, caption: impl Into<String>, plot: Plot) {
        if !plot.is_empty() {
            self.figures.push(Figure { caption: caption.into(), plot });
        }
    }

    /// Adds the numbers behind a plot, if there are any.
    pub fn table(&mut self, table: Table) {
        if !table.rows.is_empty() {
            self.tables.push(table);
        }
    }

    /// Whether the run has nothing for it but a line that says so.
    pub fn is_bare(&self) -> bool {
        self.figures.is_empty() && self.tables.is_empty()
    }

    /// That line.
    pub fn line(&self) -> String {
        let Self { id, title, about, .. } = self;
        format!("<dt id=\"{id}\">{}</dt><dd>{}</dd>\n", escaped(title), escaped(about))
    }

    /// The part as an element of the page.
    pub fn html(&self, is_valid: bool) -> String {
        let Self { id, title, figures, .. } = self;
        let wide = if figures.len() == 1 { "" } else { " wide" };
        let mut html = format!(
            "<section id=\"{id}\" class=\"part{wide}\"><h2>{}</h2><p class=\"about\">{}</p>\n",
            escaped(title),
            escaped(&self.about)
        );
        if !figures.is_empty() {
            html.push_str("<div class=\"figures\">\n");
            for (number, Figure { caption, plot }) in (1..).zip(figures) {
                let svg = plot.svg(&format!("{id}-{number}"), title, caption, is_valid);
                html += &format!(
                    "<figure>{svg}<figcaption>{}</figcaption></figure>\n",
                    escaped(caption)
                );
            }
            html.push_str("</div>\n");
        }
        // Without a plot before them, tables are what the part is.
        html.extend(self.tables.iter().map(|table| table.html(figures.is_empty())));
        html + "</section>\n"
    }
}
