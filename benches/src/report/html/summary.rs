//! The summary before the figures.

use maud::{Markup, html};

use super::figures::{at, engine_title, engines, many};
use crate::{
    candidate::{Description, Kind},
    engine::Engine,
    report::{Measurement, Report, number},
    workload::Workload,
};

/// One table with the results of each engine, and advice on which one to choose.
pub(super) fn section(report: &Report) -> Markup {
    let callers = many(report);
    let workload = [Workload::B, Workload::A, Workload::C].into_iter().find(|workload| {
        report.candidates.iter().any(|one| at(report, &one.id, *workload, callers).is_some())
    });
    let Some(workload) = workload else { return html! {} };
    let rows: Vec<Row<'_>> =
        engines(report).filter_map(|engine| Row::of(report, engine, workload, callers)).collect();
    if rows.is_empty() {
        return html! {};
    }
    let peers = rows.iter().any(|row| row.peer.is_some());
    html! {
        (picks(&rows))
        p.note { "Workload " (workload.title()) ", " (callers) " callers. Ratios are of the throughput of ours to that of another: above 1×, ours does more. Processor time is that of one operation." }
        div.scroll { table {
            thead { tr {
                th { "" } th { "operations" span.unit { "a second" } } th { "half of them" span.unit { "within" } }
                th { "99 of 100" span.unit { "within" } }
                th { "to the driver" span.unit { "throughput" } }
                @if peers { th { "to the best peer" span.unit { "without a cache" } } }
                th { "with a cache" span.unit { "a second" } }
                th { "processor" span.unit { "client + server" } }
            } }
            tbody { @for row in &rows { tr.ours {
                td { (row.ours.name) }
                td { (number::short(row.measured.throughput.median)) span.spreads { (number::short(row.measured.throughput.lower)) "–" (number::short(row.measured.throughput.upper)) } }
                td { (number::time(row.measured.p50.median)) }
                td { (number::time(row.measured.p99.median)) }
                td { (ratio(row.measured, row.plain)) }
                @if peers { td { (ratio(row.measured, row.peer)) } }
                td { @if let Some(cached) = row.cached { (number::short(cached.throughput.median)) } @else { "–" } }
                td { (number::time(row.measured.client_cpu.median)) @if let Some(server) = row.measured.server_cpu { " + " (number::time(server.median)) } }
            } } }
        } }
    }
}

fn ratio(measured: &Measurement, other: Option<&Measurement>) -> String {
    other.map_or_else(
        || "–".to_owned(),
        |other| number::times(measured.throughput.median / other.throughput.median),
    )
}

struct Row<'a> {
    engine: Engine,
    ours: &'a Description,
    measured: &'a Measurement,
    plain: Option<&'a Measurement>,
    peer: Option<&'a Measurement>,
    cached: Option<&'a Measurement>,
}

impl<'a> Row<'a> {
    fn of(report: &'a Report, engine: Engine, workload: Workload, callers: usize) -> Option<Self> {
        let of = |kind| {
            let candidates =
                report.candidates.iter().filter(move |one| one.engine == engine && one.kind == kind);
            candidates
                .filter_map(move |one| at(report, &one.id, workload, callers))
                .max_by(|one, other| one.throughput.median.total_cmp(&other.throughput.median))
        };
        let ours = report.candidates.iter().find(|one| one.engine == engine && one.kind == Kind::Ours)?;
        Some(Self {
            engine,
            ours,
            measured: of(Kind::Ours)?,
            plain: of(Kind::Plain),
            peer: of(Kind::Peer),
            cached: of(Kind::Cached),
        })
    }
}

/// The advice, derived from the figures.
fn picks(rows: &[Row<'_>]) -> Markup {
    let best = |rows: &mut dyn Iterator<Item = &Row<'_>>| -> Option<(String, f64, f64)> {
        let best = rows.max_by(|one, other| {
            one.measured.throughput.median.total_cmp(&other.measured.throughput.median)
        })?;
        let of = best.measured;
        Some((
            format!("{} ({})", best.ours.name, engine_title(best.engine)),
            of.throughput.median,
            of.p99.median,
        ))
    };
    let embedded = rows.iter().find(|row| row.engine == Engine::Sqlite);
    let memory = rows.iter().find(|row| row.engine == Engine::Memory);
    let shared = best(&mut rows.iter().filter(|row| row.engine.is_server()));
    html! {
        ul.picks {
            @if let Some((name, throughput, p99)) = shared {
                li { strong { "Several processes: " } "a server that you run already is the one to take. The fastest here is " (name) ", with " (number::short(throughput)) " operations a second, 99 of 100 within " (number::time(p99)) "." }
            }
            @if let Some(row) = embedded {
                li { strong { "One machine, and nothing to operate: " } (row.ours.name) ", with " (number::short(row.measured.throughput.median)) " operations a second; sessions survive a restart." }
            }
            @if let Some(row) = memory {
                li { strong { "One process, and sessions may end with it: " } (row.ours.name) ", with " (number::short(row.measured.throughput.median)) " operations a second." }
            }
        }
    }
}
