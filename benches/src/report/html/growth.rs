//! The figures of a growing store.

use maud::{Markup, html};

use super::{
    axis::{self, Axis},
    chart,
    figures::{count, engine_title, engines},
    series::{Point, Series, on},
};
use crate::report::{Growth, Report, number};

/// Throughput, latency and bytes against the number of sessions.
pub(super) fn growth(report: &Report) -> Markup {
    if report.growth.is_empty() {
        return html! {};
    }
    html! {
        p { "Workload B with many callers, on more and more sessions." }
        (figures(report, "operations a second", |grown| Some(Point::new(count(grown.sessions), grown.throughput)), axis::count, false))
        details {
            summary { "Latency of 99 of 100 operations" }
            (figures(report, "99th percentile", |grown| Some(Point::new(count(grown.sessions), grown.p99)), axis::time, true))
        }
        details open {
            summary { "Bytes for each session" }
            p.note { "On the engine, indexes included. For stores in the memory of a process, by how much one grew that did nothing else. Redis counts its memory, SQLite its file and log, MongoDB its compressed files." }
            div.scroll { table {
                thead { tr { th { "" } th { "sessions" } th { "bytes a session" } th { "stored in a second, in bulk" } th { "server's memory" } th { "process grew by" } } }
                tbody {
                    @for grown in &report.growth {
                        tr {
                            td { (name(report, &grown.candidate)) }
                            td { (number::short(count(grown.sessions))) }
                            td { @if let Some(bytes) = grown.bytes_per_session { (format!("{bytes:.0}")) } @else { "–" } }
                            td { (number::short(grown.filled)) }
                            td { @if let Some(bytes) = grown.server_memory { (megabytes(bytes)) } @else { "–" } }
                            td { (megabytes(grown.process_memory)) }
                        }
                    }
                }
            } }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

/// The candidate's name with its engine.
pub(super) fn name(report: &Report, id: &str) -> String {
    report.candidates.iter().find(|candidate| candidate.id == id).map_or_else(
        || id.to_owned(),
        |candidate| format!("{} ({})", candidate.name, engine_title(candidate.engine)),
    )
}

fn figures(
    report: &Report,
    title: &str,
    point: fn(&Growth) -> Option<Point>,
    label: axis::Label,
    is_log: bool,
) -> Markup {
    let charts = engines(report).map(|engine| {
        let lines = on(&report.candidates, engine).into_iter().filter_map(|(candidate, look)| {
            let points = report.growth.iter().filter(|grown| grown.candidate == candidate.id);
            Series::new(candidate.name.clone(), look, points.filter_map(point).collect())
        });
        let lines: Vec<Series> = lines.collect();
        let values = || lines.iter().flat_map(|line| &line.points);
        let x = Axis::log_of_values("sessions", values().map(|point| point.x), axis::count);
        let y = if is_log {
            Axis::log(title, values().flat_map(|point| [point.low, point.high]), label)
        } else {
            Axis::linear(title, values().map(|point| point.high), label)
        };
        chart::lines(engine_title(engine), &x, &y, &lines)
    });
    html! { div.figures { @for chart in charts { (chart) } } }
}

/// The duration of a purge by the number of expired sessions.
pub(super) fn purge(report: &Report) -> Markup {
    let Some(first) = report.purges.first() else { return html! {} };
    let lines = report.candidates.iter().filter_map(|candidate| {
        let look =
            on(&report.candidates, candidate.engine).into_iter().find(|(one, _)| one.id == candidate.id)?.1;
        let look =
            super::series::Look { colour: super::series::Look::of_engine(candidate.engine).colour, ..look };
        let points =
            report.purges.iter().filter(|purge| purge.candidate == candidate.id && purge.expired > 0);
        let points = points.map(|purge| Point::exact(count(purge.expired), purge.milliseconds * 1e3));
        Series::new(name(report, &candidate.id), look, points.collect())
    });
    let lines: Vec<Series> = lines.collect();
    let values = || lines.iter().flat_map(|line| &line.points);
    let x = Axis::log_of_values("expired sessions", values().map(|point| point.x), axis::count);
    let y = Axis::log("time of the purge", values().map(|point| point.y), axis::time);
    html! {
        p { "Beside " (number::short(count(first.live))) " sessions that are live: what it costs should follow what has expired, not what is stored. Redis removes what has expired by itself, and what has no purge is not shown." }
        div.figures.wide { (chart::lines("one purge", &x, &y, &lines)) }
        div.scroll { table {
            thead { tr { th { "" } th { "had expired" } th { "removed by the purge" } th { "time" } } }
            tbody { @for purge in &report.purges { tr {
                td { (name(report, &purge.candidate)) }
                td { (purge.expired) }
                td { @if let Some(purged) = purge.purged { (purged) } @else { "it does not tell" } }
                td { (number::time(purge.milliseconds * 1e3)) }
            } } }
        } }
    }
}
