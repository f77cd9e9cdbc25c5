//! The figures.

use maud::{Markup, html};

use super::{
    axis::{self, Axis},
    chart,
    series::{Look, Point, Series, on},
};
use crate::{
    candidate::Kind,
    engine::Engine,
    report::{Measurement, Mode, Report, number},
    workload::Workload,
};

/// The title of an engine in the report.
pub(super) fn engine_title(engine: Engine) -> &'static str {
    match engine {
        Engine::Memory => "memory of the process",
        Engine::Sqlite => "SQLite",
        Engine::Redis => "Redis",
        Engine::Postgres => "PostgreSQL",
        Engine::Mysql => "MySQL / MariaDB",
        Engine::Mongo => "MongoDB",
    }
}

/// The engines that were measured, in the order of the report.
pub(super) fn engines(report: &Report) -> impl Iterator<Item = Engine> {
    Engine::ALL
        .into_iter()
        .filter(|engine| report.candidates.iter().any(|candidate| candidate.engine == *engine))
}

/// The measurements of the main group of sessions.
pub(super) fn main_group(report: &Report) -> impl Iterator<Item = &Measurement> {
    let (sessions, payload) = (report.settings.sessions, report.settings.payload);
    report
        .measurements
        .iter()
        .filter(move |measured| measured.sessions == sessions && measured.payload == payload)
}

/// The measurement of a candidate under a workload with this many callers.
pub(super) fn at<'a>(
    report: &'a Report,
    candidate: &str,
    workload: Workload,
    callers: usize,
) -> Option<&'a Measurement> {
    main_group(report).find(|measured| {
        measured.candidate == candidate
            && measured.workload == workload
            && measured.keys == "zipf"
            && measured.mode == Mode::Closed { callers }
    })
}

/// The number of callers that stands for "many".
pub(super) fn many(report: &Report) -> usize {
    let callers = report.settings.callers.iter().copied();
    callers.min_by_key(|callers| callers.abs_diff(64)).unwrap_or(64)
}

type Value = fn(&Measurement) -> crate::report::Spread;

/// One chart for each engine: a value against the number of callers.
fn against_callers(report: &Report, workload: Workload, title: &str, value: Value, is_log: bool) -> Markup {
    let charts = engines(report).map(|engine| {
        let lines = on(&report.candidates, engine).into_iter().filter_map(|(candidate, look)| {
            let points = main_group(report).filter(|measured| {
                measured.candidate == candidate.id && measured.workload == workload && measured.keys == "zipf"
            });
            let points = points.filter_map(|measured| match measured.mode {
                #[expect(clippy::cast_precision_loss, reason = "few callers")]
                Mode::Closed { callers } => Some(Point::new(callers as f64, value(measured))),
                Mode::Open { .. } => None,
            });
            Series::new(candidate.name.clone(), look, points.collect())
        });
        chart(engine_title(engine), "concurrent callers", title, &lines.collect::<Vec<_>>(), is_log)
    });
    html! { div.figures { @for chart in charts { (chart) } } }
}

/// A chart whose horizontal axis is logarithmic with a tick at each value.
pub(super) fn chart(title: &str, across: &str, up: &str, lines: &[Series], is_log: bool) -> Markup {
    let points = || lines.iter().flat_map(|line| &line.points);
    let x = Axis::log_of_values(across, points().map(|point| point.x), axis::count);
    let y = if is_log {
        Axis::log(up, points().flat_map(|point| [point.low, point.high]), axis::time)
    } else {
        Axis::linear(up, points().map(|point| point.high), axis::count)
    };
    chart::lines(title, &x, &y, lines)
}

/// Throughput against the number of callers.
pub(super) fn concurrency(report: &Report) -> Markup {
    let throughput: Value = |measured| measured.throughput;
    let order = [Workload::B, Workload::A, Workload::C];
    let is_measured = |workload: &Workload| main_group(report).any(|one| one.workload == *workload);
    let first = order.into_iter().find(is_measured);
    let Some(first) = first else { return html! {} };
    let others = order.into_iter().filter(|workload| *workload != first && is_measured(workload));
    html! {
        p { "Workload " (first.title()) ", by Zipf over " (number::short(count(report.settings.sessions))) " sessions of " (report.settings.payload) " bytes. Up is better. The pale bars are the quartiles of the rounds." }
        (together(report, first))
        (against_callers(report, first, "operations a second", throughput, false))
        @for workload in others {
            details {
                summary { "Workload " (workload.title()) }
                (together(report, workload))
                (against_callers(report, workload, "operations a second", throughput, false))
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn count(number: usize) -> f64 {
    number as f64
}

/// All of our stores in one chart.
fn together(report: &Report, workload: Workload) -> Markup {
    let lines = of_ours(report, |candidate| {
        let measured = main_group(report).filter(|measured| {
            measured.candidate == candidate && measured.workload == workload && measured.keys == "zipf"
        });
        measured
            .filter_map(|measured| match measured.mode {
                Mode::Closed { callers } => Some(Point::new(count(callers), measured.throughput)),
                Mode::Open { .. } => None,
            })
            .collect()
    });
    if lines.len() < 2 {
        return html! {};
    }
    let values = lines.iter().flat_map(|line| &line.points);
    let y = Axis::log("operations a second (logarithmic)", values.clone().map(|point| point.y), axis::count);
    let x = Axis::log_of_values("concurrent callers", values.map(|point| point.x), axis::count);
    html! { div.figures.wide { (chart::lines("our stores, side by side", &x, &y, &lines)) } }
}

/// A line for each of our stores, in the style of its engine.
pub(super) fn of_ours(report: &Report, points: impl Fn(&str) -> Vec<Point>) -> Vec<Series> {
    let ours = report.candidates.iter().filter(|candidate| candidate.kind == Kind::Ours);
    ours.filter_map(|candidate| {
        Series::new(candidate.name.clone(), Look::of_engine(candidate.engine), points(&candidate.id))
    })
    .collect()
}

/// Latency by the number of callers, and by percentile in the open loop.
pub(super) fn latency(report: &Report) -> Markup {
    let workload = [Workload::B, Workload::A, Workload::C]
        .into_iter()
        .find(|workload| main_group(report).any(|measured| measured.workload == *workload));
    let Some(workload) = workload else { return html! {} };
    let names = ["50 %", "90 %", "99 %", "99.9 %"];
    let charts: Vec<Markup> = engines(report)
        .map(|engine| {
            let lines = on(&report.candidates, engine).into_iter().filter_map(|(candidate, look)| {
                let measured = main_group(report).find(|measured| {
                    measured.candidate == candidate.id
                        && measured.workload == workload
                        && matches!(measured.mode, Mode::Open { .. })
                })?;
                let points = [measured.p50, measured.p90, measured.p99, measured.p999];
                let points = (0_u8..).zip(points).map(|(at, spread)| Point::new(f64::from(at), spread));
                Series::new(candidate.name.clone(), look, points.collect())
            });
            let lines: Vec<Series> = lines.collect();
            let values = lines.iter().flat_map(|line| &line.points).flat_map(|point| [point.low, point.high]);
            let y = Axis::log("latency at most", values, axis::time);
            let x = Axis::named("of the operations", &names);
            chart::lines(engine_title(engine), &x, &y, &lines)
        })
        .collect();
    let is_there = charts.iter().any(|chart| !chart.0.is_empty());
    html! {
        p { "Workload " (workload.title()) ". Down is better; times are on a logarithmic axis." }
        @if is_there {
            h3 { "By percentile, in an open loop" }
            p.note { "Operations arrive at random moments at half of the throughput that the candidate has at " (many(report)) " callers (at most 50,000 a second), whether or not earlier ones are done. Latencies count from the moment at which an operation should have begun, so nothing hides what waits behind a slow one. Each candidate has its own rate: one that does more is asked for more." }
            div.figures { @for chart in charts { (chart) } }
        }
        h3 { "99 of 100 operations, against concurrency" }
        p.note { "In a closed loop: each caller waits for its answer before it asks again." }
        (against_callers(report, workload, "99th percentile", |measured| measured.p99, true))
    }
}

/// With and without a cache, for different shares of writes.
pub(super) fn cached(report: &Report) -> Markup {
    let callers = many(report);
    let pairs: Vec<_> = engines(report)
        .filter_map(|engine| {
            let of =
                |kind| report.candidates.iter().find(move |one| one.engine == engine && one.kind == kind);
            Some((engine, of(Kind::Ours)?, of(Kind::Cached)?))
        })
        .collect();
    if pairs.is_empty() {
        return html! {};
    }
    let names = ["A: 50 % writes", "B: 5 %", "C: none"];
    let charts = pairs.iter().map(|(engine, plain, cached)| {
        let lines = [plain, cached].into_iter().enumerate().filter_map(|(number, candidate)| {
            let points = (0_u8..).zip(Workload::YCSB).filter_map(|(place, workload)| {
                Some(Point::new(f64::from(place), at(report, &candidate.id, workload, callers)?.throughput))
            });
            Series::new(candidate.name.clone(), Look::numbered(number), points.collect())
        });
        let lines: Vec<Series> = lines.collect();
        let values = lines.iter().flat_map(|line| &line.points).map(|point| point.high);
        let y = Axis::log("operations a second (logarithmic)", values, axis::count);
        chart::lines(engine_title(*engine), &Axis::named("workload", &names), &y, &lines)
    });
    html! {
        p { "The same store with " code { "Cached" } " in front of it, " (callers) " callers. Caches of Redis, PostgreSQL and MongoDB hear of changes by other processes; those of SQLite and MySQL do not, and are only for who accepts that." }
        div.figures { @for chart in charts { (chart) } }
    }
}

/// Throughput by session size.
pub(super) fn payload(report: &Report) -> Markup {
    let lines = of_ours(report, |candidate| {
        let measured = report.measurements.iter().filter(|measured| {
            measured.candidate == candidate
                && measured.workload == Workload::B
                && measured.sessions != report.settings.sessions
        });
        measured.map(|measured| Point::new(count(measured.payload), measured.throughput)).collect()
    });
    if lines.is_empty() {
        return html! {};
    }
    let values = || lines.iter().flat_map(|line| &line.points);
    let x = Axis::log_of_values("bytes of a session", values().map(|point| point.x), axis::count);
    let y = Axis::log("operations a second", values().map(|point| point.y), axis::count);
    html! {
        p { "Workload " (Workload::B.title()) ", " (many(report)) " callers, on a thousand sessions of each length." }
        div.figures.wide { (chart::lines("our stores", &x, &y, &lines)) }
    }
}
