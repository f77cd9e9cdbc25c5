//! The tables.

use maud::{Markup, html};

use super::{
    figures::{at, engine_title, engines, main_group, many},
    growth::name,
};
use crate::{
    candidate::Kind,
    report::{Comparison, Finding, Report, number},
    workload::Workload,
};

fn class(kind: Kind) -> Option<&'static str> {
    matches!(kind, Kind::Ours | Kind::Cached).then_some("ours")
}

/// Throughput under each workload.
pub(super) fn workloads(report: &Report) -> Markup {
    let callers = many(report);
    let measured: Vec<Workload> = Workload::ALL
        .into_iter()
        .filter(|workload| main_group(report).any(|one| one.workload == *workload))
        .collect();
    if measured.is_empty() {
        return html! {};
    }
    html! {
        p { "Operations a second with " (callers) " callers, and below them the latency of 99 of 100. A dash: it cannot be done." }
        ul.picks { @for workload in measured.iter().filter(|one| !Workload::YCSB.contains(one)) { li { (workload.title()) } } }
        @for engine in engines(report) {
            h3 { (engine_title(engine)) }
            div.scroll { table {
                thead { tr { th { "" } @for workload in &measured { th { (workload.name()) } } } }
                tbody { @for candidate in report.candidates.iter().filter(|one| one.engine == engine) {
                    tr class=[class(candidate.kind)] {
                        td { (candidate.name) }
                        @for workload in &measured {
                            @match at(report, &candidate.id, *workload, callers) {
                                Some(one) => td {
                                    (number::short(one.throughput.median))
                                    span.spreads { (number::time(one.p99.median)) }
                                    @if one.failed > 0 { span.no { (one.failed) " failed" } }
                                },
                                None => td { "–" },
                            }
                        }
                    }
                } }
            } }
        }
        (failures(report))
    }
}

fn failures(report: &Report) -> Markup {
    let failed: Vec<_> = report.measurements.iter().filter(|measured| measured.failed > 0).collect();
    if failed.is_empty() {
        return html! { p.note { "No operation failed." } };
    }
    html! {
        h3 { "What failed" }
        div.scroll { table {
            thead { tr { th { "" } th { "workload" } th { "failed" } th { "succeeded" } th.text { "the first one said" } } }
            tbody { @for measured in failed { tr {
                td { (name(report, &measured.candidate)) } td { (measured.workload) } td { (measured.failed) }
                td { (measured.operations) } td.text { (measured.first_failure.as_deref().unwrap_or_default()) }
            } } }
        } }
    }
}

/// The results of the correctness checks.
pub(super) fn correctness(report: &Report) -> Markup {
    if report.correctness.is_empty() {
        return html! {};
    }
    html! {
        p { "Each answer was found by running it, through the interface that an application uses, between two processes (in one for stores in its memory)." }
        div.scroll { table {
            thead { tr {
                th { "" } th.text { "Two requests change different values: both are kept" }
                th.text { "A request that began before a logout is saved after: the session stays out" }
                th.text { "A logout is seen by the other process within a second" }
                th.text { "One call logs a user out everywhere" }
            } }
            tbody { @for seen in &report.correctness { tr {
                td { (name(report, &seen.candidate)) }
                (finding(&seen.keeps_both_updates)) (finding(&seen.stays_logged_out))
                (finding(&seen.logout_reaches_others)) (finding(&seen.logs_out_everywhere))
            } } }
        } }
    }
}

fn finding(finding: &Finding) -> Markup {
    let (class, word) = match finding.holds {
        Some(true) => ("yes", "✓ yes"),
        Some(false) => ("no", "✗ no"),
        None => ("none", "– cannot tell"),
    };
    html! { td.text { span.word.(class) { (word) } span.seen { (finding.seen) } } }
}

/// Processor time of client and server.
pub(super) fn cost(report: &Report) -> Markup {
    let callers = many(report);
    let workloads: Vec<Workload> = Workload::YCSB
        .into_iter()
        .filter(|workload| {
            report.candidates.iter().any(|one| at(report, &one.id, *workload, callers).is_some())
        })
        .collect();
    if workloads.is_empty() {
        return html! {};
    }
    html! {
        p { "For one operation, with " (callers) " callers: of this process, with its share of the harness, and of the server's processes. What has no server does all work in this process; the time of a server that was given by URL is not known." }
        div.scroll { table {
            thead { tr { th { "" } th { "connections" } @for workload in &workloads { th { (workload.name()) ", client" } th { "server" } } } }
            tbody { @for candidate in &report.candidates { tr class=[class(candidate.kind)] {
                td { (name(report, &candidate.id)) }
                td { (candidate.connections) }
                @for workload in &workloads {
                    @match at(report, &candidate.id, *workload, callers) {
                        Some(one) => {
                            td { (number::time(one.client_cpu.median)) }
                            td { @if let Some(server) = one.server_cpu { (number::time(server.median)) } @else { "–" } }
                        },
                        None => { td { "–" } td { "–" } },
                    }
                }
            } } }
        } }
    }
}

/// The ratios to an older run.
pub(super) fn comparison(comparison: &Comparison) -> Markup {
    html! {
        p { "The older run is of " (comparison.older_date) ". More than 1× means that the newer run does more, or that an operation takes longer. The range holds if both runs were at their other quartiles; a ratio whose range contains 1× tells nothing." }
        @if !comparison.same_machine { p.warning { "The two runs were on different machines or with different settings." } }
        div.scroll { table {
            thead { tr { th { "" } th.text { "measurement" } th { "throughput" } th { "range" } th { "99th percentile" } th { "range" } } }
            tbody { @for line in &comparison.lines { tr {
                td { (line.candidate) } td.text { (line.measurement) }
                td { (number::times(line.throughput.median)) } td { (number::times(line.throughput.lower)) "–" (number::times(line.throughput.upper)) }
                td { (number::times(line.p99.median)) } td { (number::times(line.p99.lower)) "–" (number::times(line.p99.upper)) }
            } } }
        } }
        p.note { (comparison.unmatched) " measurements of this run are not in the older one." }
    }
}

/// How fair the comparison is.
pub(super) fn method(report: &Report) -> Markup {
    let settings = &report.settings;
    let durability = if settings.durable {
        "every write is on the disk when it is acknowledged"
    } else {
        "a crash of the machine may take back about the last second"
    };
    html! {
        ul.picks {
            li { "All candidates have the same sessions, drawn at random, and each write holds data that no other has. Durability is alike: " (durability) "." }
            li { "Every round of " (settings.slice_ms) " ms runs each candidate once, each round beginning with another, so that a slow moment of the machine hits all alike. Shown are medians and quartiles of " (settings.rounds) " rounds. Two whose quartiles overlap are equally fast as far as this can tell." }
            li { "The updates of ours are conditional on the version that was read, and after a conflict are tried again, which counts as one operation. The plain drivers do the same, but for Redis, where they replace blindly, as the peers do." }
            li { "Client and servers share this machine: what one uses, the other does not have." }
            li { "An operation that fails, or does not do what it is for, is counted as failed and not in the throughput." }
        }
        div.scroll { table {
            thead { tr { th { "Conflicts and failures" } th { "operations" } th { "conflicts" } th { "failed" } } }
            tbody { @for candidate in &report.candidates {
                @let of = || report.measurements.iter().filter(|one| one.candidate == candidate.id);
                tr class=[class(candidate.kind)] {
                    td { (name(report, &candidate.id)) }
                    td { (of().map(|one| one.operations).sum::<u64>()) }
                    td { (of().map(|one| one.conflicts).sum::<u64>()) }
                    td { (of().map(|one| one.failed).sum::<u64>()) }
                }
            } }
        } }
    }
}

/// The machine, the servers, the crates, and what was left out.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(super) fn machine(report: &Report) -> Markup {
    let machine = &report.machine;
    html! {
        dl {
            dt { "Processor" } dd { (machine.cpu) ", " (machine.cores) " cores" }
            dt { "Memory" } dd { (format!("{:.1} GiB", machine.memory as f64 / f64::from(1 << 30))) }
            dt { "System" } dd { (machine.kernel) }
            dt { "Compiler" } dd { (machine.rustc) }
            dt { "Date" } dd { (report.date) }
            @for engine in &report.engines {
                dt { (engine_title(engine.engine)) }
                dd { (engine.version) @if !engine.tuning.is_empty() { " – " (engine.tuning) } }
            }
        }
        div.scroll { table {
            thead { tr { th { "Candidate" } th { "version" } th { "engine" } th { "connections" } th { "updates" } } }
            tbody { @for candidate in &report.candidates { tr class=[class(candidate.kind)] {
                td { (candidate.name) } td { (candidate.version) } td { (engine_title(candidate.engine)) } td { (candidate.connections) }
                td { @if candidate.conditional { "conditional" } @else { "replace" } }
            } } }
        } }
        @if !report.skipped.is_empty() {
            h3 { "Left out" }
            ul.picks { @for skipped in &report.skipped { li { strong { (skipped.what) } ": " (skipped.reason) } } }
        }
    }
}
