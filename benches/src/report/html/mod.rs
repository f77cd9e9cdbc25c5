//! The page: one self-contained file, from the question (which store?) to the figures.

mod axis;
mod chart;
mod figures;
mod growth;
mod series;
mod summary;
mod tables;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Comparison, Report};

/// The whole page.
pub fn page(report: &Report, comparison: Option<&Comparison>) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Session stores compared" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    (header(report))
                    (section("summary", "Which one?", &summary::section(report)))
                    @if let Some(comparison) = comparison {
                        (section("compared", "Compared with the older run", &tables::comparison(comparison)))
                    }
                    (section("concurrency", "Throughput against concurrency", &figures::concurrency(report)))
                    (section("latency", "Latency", &figures::latency(report)))
                    (section("cached", "Cached and not", &figures::cached(report)))
                    (section("workloads", "Other workloads", &tables::workloads(report)))
                    (section("payload", "Longer sessions", &figures::payload(report)))
                    (section("growth", "As the store grows", &growth::growth(report)))
                    (section("purge", "Removing what has expired", &growth::purge(report)))
                    (section("correct", "Is it right?", &tables::correctness(report)))
                    (section("cost", "Processor time", &tables::cost(report)))
                    (section("method", "How it was measured", &tables::method(report)))
                    (section("machine", "On what", &tables::machine(report)))
                }
            }
        }
    }
    .into_string()
}

fn header(report: &Report) -> Markup {
    html! {
        header {
            h1 { "Session stores compared" }
            p.lead {
                (report.date.get(..10).unwrap_or(&report.date)) ", on " (report.machine.cpu) ", " (report.machine.cores) " cores. "
                "Each figure is the median of " (report.settings.rounds) " interleaved rounds."
            }
            @if report.interrupted {
                p.warning { "The run was interrupted: what is missing was not measured." }
            }
            @if report.settings.quick {
                p.warning { "A quick run, for a first impression: no figure to quote." }
            }
            @if !report.machine.optimised {
                p.warning { "Built without optimisation: no figure means anything." }
            }
        }
    }
}

/// A section; nothing if it is empty.
fn section(id: &str, title: &str, content: &Markup) -> Markup {
    if content.0.is_empty() {
        return html! {};
    }
    html! {
        section id=(id) {
            h2 { (title) }
            (content)
        }
    }
}
