//! A plot: what stands where, and how it becomes an SVG that follows the colours of the page.
//!
//! plotters maps and draws; it knows fixed colours only. So every [`Ink`] has a colour that stands
//! for it, and on the way out that colour becomes a class, to which the style sheet gives a colour
//! for light, for dark and for paper. Sizes of text are the style sheet's as well: on a telephone
//! they are larger beside the drawing, and the margins here leave room for that.
//!
//! ```text
//!   name of y                      a unit of the drawing is a tenth of a pixel on a wide screen
//!   100k |  ramp |   hold        |
//!        |    ___|_______________| open       direct labels at the ends of lines, pushed apart
//!      0 |___/___|_______________| pending
//!        0      30 s          1 min
//!                     name of x
//! ```

use std::io;

use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, ShapeStyle, TextStyle};

use super::axis::Axis;
use super::markup::escaped;

const WIDTH: u32 = 5_600;
const HEIGHT: u32 = 3_100;
const TOP: u32 = 450;
const BOTTOM: u32 = 520;

/// How wide a letter is at most, on a telephone.
const LETTER: usize = 98;

/// How far apart lines of text are at least.
const LEADING: i32 = 190;

/// The size that plotters is told; the style sheet has the last word.
const TEXT: u32 = 124;

/// A place by the values of both axes.
pub type Point = (f64, f64);

/// What something is drawn with: a role, and not a colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ink {
    /// Lines behind everything.
    Grid,
    /// Names of values and axes.
    Quiet,
    /// Words that matter.
    Loud,
    /// One of the five things that a plot compares, from 1.
    Line(u8),
    /// The same, less sure: beyond what was measured.
    Dashed(u8),
    /// An area of the same.
    Wash(u8),
    /// The run that this one is compared with.
    Base,
    /// An area of it.
    BaseWash,
    /// One of six shares of the most, from 1.
    Heat(u8),
    /// Every second phase of a run.
    Phase,
    /// What held.
    Good,
    /// What did not.
    Bad,
    /// What may not be believed.
    Invalid,
}

impl Ink {
    const ALL: [Self; 30] = [
        Self::Grid,
        Self::Quiet,
        Self::Loud,
        Self::Line(1),
        Self::Line(2),
        Self::Line(3),
        Self::Line(4),
        Self::Line(5),
        Self::Dashed(1),
        Self::Dashed(2),
        Self::Dashed(3),
        Self::Dashed(4),
        Self::Dashed(5),
        Self::Wash(1),
        Self::Wash(2),
        Self::Wash(3),
        Self::Wash(4),
        Self::Wash(5),
        Self::Base,
        Self::BaseWash,
        Self::Heat(1),
        Self::Heat(2),
        Self::Heat(3),
        Self::Heat(4),
        Self::Heat(5),
        Self::Heat(6),
        Self::Phase,
        Self::Good,
        Self::Bad,
        Self::Invalid,
    ];

    fn class(self) -> String {
        match self {
            Self::Grid => "grid".to_owned(),
            Self::Quiet => "quiet".to_owned(),
            Self::Loud => "loud".to_owned(),
            Self::Line(number) => format!("c{number}"),
            Self::Dashed(number) => format!("c{number} dash"),
            Self::Wash(number) => format!("c{number} wash"),
            Self::Base => "base".to_owned(),
            Self::BaseWash => "base wash".to_owned(),
            Self::Heat(level) => format!("h{level}"),
            Self::Phase => "phase".to_owned(),
            Self::Good => "good".to_owned(),
            Self::Bad => "bad".to_owned(),
            Self::Invalid => "invalid".to_owned(),
        }
    }

    /// The colour that stands for it while plotters draws.
    fn color(self) -> RGBColor {
        let place = Self::ALL.iter().position(|ink| *ink == self);
        RGBColor(0, place.and_then(|place| u8::try_from(place).ok()).unwrap_or(0), 1)
    }
}

/// Something drawn by the values of the axes.
#[derive(Clone, Debug)]
enum Mark {
    Line(Vec<Point>, Ink),
    Area(Vec<Point>, Ink),
    Cell([Point; 2], Ink),
    Dot(Point, Ink),
    Ring(Point, Ink),
    Cross(Point, Ink),
    Words { at: Point, text: String, ink: Ink, side: Side },
}

/// Where words stand beside the place they are about.
#[derive(Clone, Copy, Debug)]
enum Side {
    Right,
    Above,
}

/// A plot under construction.
#[derive(Clone, Debug)]
pub struct Plot {
    x: Axis,
    y: Axis,
    marks: Vec<Mark>,
    /// Words beside the right edge, at the height of what they name.
    ends: Vec<(f64, String, Ink)>,
}

impl Plot {
    /// An empty plot.
    pub fn new(x: Axis, y: Axis) -> Self {
        Self { x, y, marks: Vec::new(), ends: Vec::new() }
    }

    /// Draws a line through `points`.
    pub fn line(&mut self, points: Vec<Point>, ink: Ink) {
        if points.len() > 1 {
            self.marks.push(Mark::Line(points, ink));
        }
    }

    /// Fills what `corners` enclose.
    pub fn area(&mut self, corners: Vec<Point>, ink: Ink) {
        if corners.len() > 2 {
            self.marks.push(Mark::Area(corners, ink));
        }
    }

    /// Fills a rectangle between two corners.
    pub fn cell(&mut self, from: Point, to: Point, ink: Ink) {
        self.marks.push(Mark::Cell([from, to], ink));
    }

    /// Draws a full dot.
    pub fn dot(&mut self, at: Point, ink: Ink) {
        self.marks.push(Mark::Dot(at, ink));
    }

    /// Draws an empty dot.
    pub fn ring(&mut self, at: Point, ink: Ink) {
        self.marks.push(Mark::Ring(at, ink));
    }

    /// Draws a cross, which is told from a dot without its colour.
    pub fn cross(&mut self, at: Point, ink: Ink) {
        self.marks.push(Mark::Cross(at, ink));
    }

    /// Writes `text` to the right of a place.
    pub fn say(&mut self, at: Point, text: &str, ink: Ink) {
        self.marks.push(Mark::Words { at, text: text.to_owned(), ink, side: Side::Right });
    }

    /// Writes `text` above a place.
    pub fn say_above(&mut self, at: Point, text: &str, ink: Ink) {
        self.marks.push(Mark::Words { at, text: text.to_owned(), ink, side: Side::Above });
    }

    /// Names what ends at the height `y`, beside the right edge.
    pub fn end(&mut self, y: f64, text: &str, ink: Ink) {
        self.ends.push((y, text.to_owned(), ink));
    }

    /// Draws a line with its name at its end.
    pub fn named(&mut self, name: &str, points: Vec<Point>, ink: Ink) {
        if let Some((_, y)) = points.last() {
            self.end(*y, name, ink);
        }
        self.line(points, ink);
    }

    /// Shades the values of x from `from` to `to`, and names them at the top if there is room.
    pub fn band(&mut self, from: f64, to: f64, name: &str, ink: Option<Ink>) {
        let ((left, right), (_, top)) = (self.x.ends(), self.y.ends());
        if let Some(ink) = ink {
            self.marks.insert(0, Mark::Cell([(from, self.y.ends().0), (to, top)], ink));
        }
        let width = (to.min(right) - from) / (right - left) * f64::from(WIDTH) * 0.7;
        if width > f64::from(u32::try_from(name.len() * LETTER).unwrap_or(u32::MAX)) {
            self.say_above((f64::midpoint(from, to.min(right)), top), name, Ink::Quiet);
        }
    }

    /// Whether there is nothing to see.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// The plot as an element of a page, for those who see it and those who have it read. A band
    /// across it says so if it is of a run that may not be believed.
    pub fn svg(&self, id: &str, title: &str, description: &str, is_valid: bool) -> String {
        let mut drawn = String::new();
        self.draw(&mut drawn, is_valid).expect("a string takes whatever is drawn");
        // The root that plotters writes has a fixed size, ours scales with the page.
        let body = drawn.split_once('\n').map_or("", |(_, body)| body);
        let root = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>\n",
            escaped(title),
            escaped(description)
        );
        root + &themed(body)
    }

    fn draw(&self, into: &mut String, is_valid: bool) -> Drawn {
        let root = SVGBackend::with_string(into, (WIDTH, HEIGHT)).into_drawing_area();
        let letters = |longest: Option<usize>| longest.unwrap_or(0) * LETTER;
        let ticks = self.y.ticks().iter().map(|(_, name)| name.chars().count()).max();
        let ends = self.ends.iter().map(|(_, name, _)| name.chars().count()).max();
        let pixels = |pixels: usize| u32::try_from(pixels).unwrap_or(WIDTH).min(WIDTH * 2 / 5);
        let chart = ChartBuilder::on(&root)
            .margin_left(pixels(letters(ticks) + 120))
            .margin_right(pixels(letters(ends) + 180))
            .margin_top(TOP)
            .margin_bottom(BOTTOM)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        self.axes(&root, &chart)?;
        for mark in &self.marks {
            mark.draw(&chart)?;
        }
        self.name_ends(&root, &chart)?;
        if !is_valid {
            stamp(&root, &chart)?;
        }
        root.present()
    }

    /// Draws the grid and names its values.
    fn axes(&self, root: &Area<'_>, chart: &Chart<'_, '_>) -> Drawn {
        let (x, y) = chart.plotting_area().get_pixel_range();
        for (value, name) in self.y.ticks() {
            let (_, at) = chart.backend_coord(&(self.x.ends().0, *value));
            if self.y.has_grid() {
                let across = vec![(x.start, at), (x.end, at)];
                root.draw(&PathElement::new(across, Ink::Grid.color()))?;
            }
            write(root, (x.start - 70, at), name, Ink::Quiet, (HPos::Right, VPos::Center))?;
        }
        for (value, name) in self.x.ticks() {
            let (at, _) = chart.backend_coord(&(*value, self.y.ends().0));
            let mark = vec![(at, y.end), (at, y.end + 40)];
            root.draw(&PathElement::new(mark, Ink::Grid.color()))?;
            write(root, (at, y.end + 70), name, Ink::Quiet, (HPos::Center, VPos::Top))?;
        }
        let bottom = vec![(x.start, y.end), (x.end, y.end)];
        root.draw(&PathElement::new(bottom, Ink::Quiet.color()))?;
        let (middle, low) = (i32::midpoint(x.start, x.end), pixel(HEIGHT) - 40);
        write(root, (middle, low), self.x.name(), Ink::Quiet, (HPos::Center, VPos::Bottom))?;
        write(root, (20, 40), self.y.name(), Ink::Quiet, (HPos::Left, VPos::Top))
    }

    /// Writes the names beside the right edge, far enough apart to be read.
    fn name_ends(&self, root: &Area<'_>, chart: &Chart<'_, '_>) -> Drawn {
        let (x, y) = chart.plotting_area().get_pixel_range();
        let right = self.x.ends().1;
        let mut ends: Vec<_> = self.ends.iter().map(|end| (end, end.0)).collect();
        ends.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let wanted = ends.iter().map(|(_, value)| chart.backend_coord(&(right, *value)).1);
        let wanted: Vec<_> = wanted.collect();
        let places = apart(&wanted, y.end);
        for (((_, name, ink), _), (wanted, place)) in ends.iter().zip(wanted.iter().zip(places)) {
            if (wanted - place).abs() > LEADING / 3 {
                let leader = vec![(x.end + 10, *wanted), (x.end + 70, place)];
                root.draw(&PathElement::new(leader, Ink::Grid.color()))?;
            }
            write(root, (x.end + 90, place), name, *ink, (HPos::Left, VPos::Center))?;
        }
        Ok(())
    }
}

impl Mark {
    fn draw(&self, chart: &Chart<'_, '_>) -> Drawn {
        let area = chart.plotting_area();
        match self {
            Self::Line(points, ink) => area.draw(&PathElement::new(points.clone(), ink.color())),
            Self::Area(corners, ink) => area.draw(&Polygon::new(corners.clone(), ink.color())),
            Self::Cell(corners, ink) => area.draw(&Rectangle::new(*corners, ink.color().filled())),
            Self::Dot(at, ink) => area.draw(&Circle::new(*at, 45, ink.color().filled())),
            Self::Ring(at, ink) => area.draw(&Circle::new(*at, 45, ink.color())),
            Self::Cross(at, ink) => {
                let ((x, y), root) = (relative(chart, at), area.strip_coord_spec());
                let style = ShapeStyle::from(ink.color());
                root.draw(&PathElement::new(vec![(x - 45, y - 45), (x + 45, y + 45)], style))?;
                root.draw(&PathElement::new(vec![(x - 45, y + 45), (x + 45, y - 45)], style))
            }
            Self::Words { at, text, ink, side } => {
                let (x, y) = relative(chart, at);
                let (at, anchor) = match side {
                    Side::Right => ((x + 80, y), Pos::new(HPos::Left, VPos::Center)),
                    Side::Above => ((x, y - 50), Pos::new(HPos::Center, VPos::Bottom)),
                };
                let text = Text::new(text.as_str(), at, text_style(*ink, anchor));
                area.strip_coord_spec().draw(&text)
            }
        }
    }
}

type Error = DrawingAreaErrorKind<io::Error>;
type Drawn = Result<(), Error>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

fn write(root: &Area<'_>, at: (i32, i32), text: &str, ink: Ink, (h, v): (HPos, VPos)) -> Drawn {
    root.draw(&Text::new(text, at, text_style(ink, Pos::new(h, v))))
}

fn text_style(ink: Ink, anchor: Pos) -> TextStyle<'static> {
    let mut style = TextStyle::from(("sans-serif", TEXT).into_font());
    style.color = ink.color().to_backend_color();
    style.pos = anchor;
    style
}

/// Where a place is, from the corner of the plotting area.
fn relative(chart: &Chart<'_, '_>, at: &Point) -> (i32, i32) {
    let (x, y) = chart.backend_coord(at);
    let (left, top) = chart.plotting_area().get_base_pixel();
    (x - left, y - top)
}

fn pixel(pixels: u32) -> i32 {
    i32::try_from(pixels).unwrap_or(i32::MAX)
}

/// A band across the plot that says that it may not be believed.
fn stamp(root: &Area<'_>, chart: &Chart<'_, '_>) -> Drawn {
    let (x, y) = chart.plotting_area().get_pixel_range();
    let middle = i32::midpoint(y.start, y.end);
    let corners = [(x.start, middle - 160), (x.end, middle + 160)];
    root.draw(&Rectangle::new(corners, Ink::Invalid.color().filled()))?;
    let at = (i32::midpoint(x.start, x.end), middle);
    write(root, at, "INVALID", Ink::Bad, (HPos::Center, VPos::Center))
}

/// Places from the top to `bottom`, none nearer to the next than a line of text, each as near to
/// where it is wanted as that allows.
fn apart(wanted: &[i32], bottom: i32) -> Vec<i32> {
    let mut places = Vec::with_capacity(wanted.len());
    let mut free = i32::MIN;
    for place in wanted {
        let place = free.max(*place);
        places.push(place);
        free = place.saturating_add(LEADING);
    }
    let mut limit = bottom;
    for place in places.iter_mut().rev() {
        *place = limit.min(*place);
        limit = *place - LEADING;
    }
    places
}

/// Turns the colours that stand for inks into their classes, and drops what is the style sheet's.
fn themed(body: &str) -> String {
    let mut body = body.to_owned();
    for ink in Ink::ALL {
        let RGBColor(red, green, blue) = ink.color();
        let (color, class) = (format!("#{red:02X}{green:02X}{blue:02X}"), ink.class());
        body = body.replace(&format!("stroke=\"{color}\""), &format!("class=\"s {class}\""));
        body = body.replace(&format!("fill=\"{color}\""), &format!("class=\"f {class}\""));
    }
    let size = format!(" font-size=\"{}\"", f64::from(TEXT) / 1.24);
    for idle in
        [size.as_str(), " font-family=\"sans-serif\"", " opacity=\"1\"", " stroke-width=\"1\""]
    {
        body = body.replace(idle, "");
    }
    body.replace(" stroke=\"none\"", "").replace(" \"", "\"")
}

#[cfg(test)]
mod tests {
    use super::super::axis::Unit;
    use super::*;

    fn plot() -> Plot {
        let mut plot = Plot::new(Axis::time(10.0), Axis::from_zero("open", Unit::Count, 100.0));
        plot.band(0.0, 4.0, "ramp", None);
        plot.band(4.0, 10.0, "hold", Some(Ink::Phase));
        plot.named("open <1>", vec![(0.0, 0.0), (4.0, 100.0), (10.0, 100.0)], Ink::Line(1));
        plot
    }

    #[test]
    fn what_is_drawn_has_classes_and_no_colour_of_its_own() {
        let svg = plot().svg("p1", "Connections & more", "They open.", true);
        assert!(svg.starts_with("<svg viewBox=\"0 0 5600 3100\" role=\"img\""), "{svg}");
        assert!(svg.contains("Connections &amp; more</title>") && svg.contains("open &lt;1&gt;"));
        assert!(svg.contains("class=\"s c1\"") && svg.contains("class=\"f phase\""));
        assert!(!svg.contains('#') && !svg.contains("font-") && !svg.contains("INVALID"), "{svg}");
        assert!(svg.trim_end().ends_with("</svg>"));
        assert!(plot().svg("p1", "", "", false).contains("INVALID"));
    }

    #[test]
    fn names_at_the_edge_do_not_stand_on_each_other() {
        assert_eq!(apart(&[100, 150, 900], 3_000), [100, 290, 900]);
        assert_eq!(apart(&[2_950, 2_990, 3_000], 3_000), [2_620, 2_810, 3_000]);
        assert_eq!(apart(&[], 3_000), [0; 0]);
    }
}
