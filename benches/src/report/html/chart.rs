//! Line charts as SVG. Colours come from the style sheet, so that they follow the light or dark
//! theme.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::{
    axis::Axis,
    series::{Look, Series},
};

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 235.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 44.0;

const DASHES: [&str; 8] = ["", "7 3", "2 3", "9 3 2 3", "4 2", "1 2", "12 4", "12 3 2 3 2 3"];

/// A figure with a title, the lines, and a legend. Empty if there are no lines.
pub(super) fn lines(title: &str, x: &Axis, y: &Axis, series: &[Series]) -> Markup {
    if series.is_empty() {
        return html! {};
    }
    html! {
        figure {
            figcaption { (title) }
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(format!("{title}: {} against {}", y.title, x.title)) {
                (grid(x, y))
                @for line in series { (one(x, y, line)) }
            }
            ul.legend {
                @for line in series {
                    li { (swatch(line.look)) (line.name) }
                }
            }
        }
    }
}

fn across(x: &Axis, value: f64) -> f64 {
    LEFT + x.place(value) * (WIDTH - LEFT - RIGHT)
}

fn up(y: &Axis, value: f64) -> f64 {
    HEIGHT - BOTTOM - y.place(value) * (HEIGHT - TOP - BOTTOM)
}

fn number(value: f64) -> String {
    format!("{value:.1}")
}

fn grid(x: &Axis, y: &Axis) -> Markup {
    let (floor, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    html! {
        text.title x="4" y="13" { (y.title) }
        text.title x=(number(f64::midpoint(LEFT, right))) y=(number(HEIGHT - 5.0)) text-anchor="middle" { (x.title) }
        @for (value, label) in y.ticks() {
            @let at = number(up(y, *value));
            line.grid x1=(LEFT) x2=(right) y1=(at) y2=(at) {}
            text x=(LEFT - 6.0) y=(number(up(y, *value) + 4.0)) text-anchor="end" { (label) }
        }
        @for (value, label) in x.ticks() {
            @let at = number(across(x, *value));
            line.tick x1=(at) x2=(at) y1=(floor) y2=(floor + 4.0) {}
            text x=(at) y=(floor + 17.0) text-anchor="middle" { (label) }
        }
        line.axis x1=(LEFT) x2=(right) y1=(floor) y2=(floor) {}
    }
}

fn one(x: &Axis, y: &Axis, line: &Series) -> Markup {
    let mut path = String::new();
    for (number, point) in line.points.iter().enumerate() {
        let command = if number == 0 { 'M' } else { 'L' };
        // Writing to a `String` cannot fail.
        let _ = write!(path, "{command}{:.1} {:.1}", across(x, point.x), up(y, point.y));
    }
    html! {
        g class=(format!("c{}", line.look.colour)) {
            @for point in &line.points {
                @let at = number(across(x, point.x));
                line.spread x1=(at) x2=(at) y1=(number(up(y, point.low))) y2=(number(up(y, point.high))) {}
            }
            path.line d=(path) stroke-dasharray=(DASHES[line.look.shape]) {}
            @for point in &line.points {
                (marker(line.look, across(x, point.x), up(y, point.y)))
            }
        }
    }
}

/// A shape around a point.
fn marker(look: Look, x: f64, y: f64) -> Markup {
    let path = match look.shape {
        0 => return html! { circle.marker cx=(number(x)) cy=(number(y)) r="3.6" {} },
        1 => "m-3.4 -3.4h6.8v6.8h-6.8z",
        2 => "m0 -4.6l4.2 7.6h-8.4z",
        3 => "m0 -4.8l4.8 4.8l-4.8 4.8l-4.8 -4.8z",
        4 => "m0 4.6l4.2 -7.6h-8.4z",
        5 => "m-4.5 -1.3h3.2v-3.2h2.6v3.2h3.2v2.6h-3.2v3.2h-2.6v-3.2h-3.2z",
        6 => "m-4.4 0a4.4 4.4 0 0 1 8.8 0z",
        _ => "m-3 -4.6h6v9.2h-6z",
    };
    // All shapes begin with a relative move, so the path starts at the point.
    html! { path.marker d=(format!("M{x:.1} {y:.1}{path}")) {} }
}

/// A piece of a line, for a legend.
pub(super) fn swatch(look: Look) -> Markup {
    html! {
        svg.swatch viewBox="0 0 34 12" aria-hidden="true" {
            g class=(format!("c{}", look.colour)) {
                path.line d="M1 6H33" stroke-dasharray=(DASHES[look.shape]) {}
                (marker(look, 17.0, 6.0))
            }
        }
    }
}
