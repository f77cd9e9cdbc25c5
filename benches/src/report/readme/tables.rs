use std::fmt::Write as _;

use crate::{
    candidate::{Description, Kind},
    report::{Finding, Measurement, Mode, Report, Spread, number},
    workload::Workload,
};

/// The number of callers of most workloads.
fn usual_callers(report: &Report) -> usize {
    report.settings.callers.iter().copied().min_by_key(|callers| callers.abs_diff(64)).unwrap_or(64)
}

fn found<'r>(
    report: &'r Report,
    candidate: &Description,
    workload: Workload,
    callers: usize,
) -> Option<&'r Measurement> {
    report.measurements.iter().find(|measured| {
        measured.candidate == candidate.id
            && measured.workload == workload
            && measured.keys == "zipf"
            && measured.sessions == report.settings.sessions
            && measured.payload == report.settings.payload
            && measured.mode == Mode::Closed { callers }
    })
}

/// What was measured, and where.
fn preamble(report: &Report, what: &str) -> String {
    let (machine, settings) = (&report.machine, &report.settings);
    format!(
        "\n{what}, by Zipf over {} sessions of {} bytes.\n{}, {} cores shared by clients and server; medians of {} rounds of {} ms; {}.\n\n",
        settings.sessions,
        settings.payload,
        machine.cpu,
        machine.cores,
        settings.rounds,
        settings.slice_ms,
        report.date.get(..10).unwrap_or(&report.date),
    )
}

fn row(text: &mut String, cells: impl IntoIterator<Item = String>) {
    for cell in cells {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "| {cell} ");
    }
    text.push_str("|\n");
}

fn cell(measured: Option<&Measurement>) -> String {
    measured.map_or_else(
        || "–".to_owned(),
        |found| format!("{}, {}", number::short(found.throughput.median), number::time(found.p99.median)),
    )
}

fn named(candidate: &Description) -> String {
    format!("`{}` {}", candidate.name, candidate.version)
}

/// The YCSB workloads that were measured.
pub(super) fn workloads(report: &Report, is_shown: impl Fn(&Description) -> bool) -> String {
    let callers = usual_callers(report);
    let shown: Vec<&Description> = report.candidates.iter().filter(|candidate| is_shown(candidate)).collect();
    let is_measured = |workload: &Workload| {
        shown.iter().any(|candidate| found(report, candidate, *workload, callers).is_some())
    };
    let workloads: Vec<Workload> = Workload::YCSB.into_iter().filter(is_measured).collect();
    let what = format!("ops/s and p99 latency with {callers} callers");
    let mut text = preamble(report, &what);
    row(
        &mut text,
        [String::new()].into_iter().chain(workloads.iter().map(|workload| workload.title().to_owned())),
    );
    row(&mut text, ["---".to_owned()].into_iter().chain(workloads.iter().map(|_| "---:".to_owned())));
    for candidate in shown {
        let cells = workloads.iter().map(|workload| cell(found(report, candidate, *workload, callers)));
        row(&mut text, [named(candidate)].into_iter().chain(cells));
    }
    text + "\n"
}

/// Workload A, from one caller to many.
pub(super) fn callers(report: &Report, is_shown: impl Fn(&Description) -> bool) -> String {
    let callers = &report.settings.callers;
    let mut text = "The same for A, half of which are updates, by the number of callers:\n\n".to_owned();
    row(&mut text, [String::new()].into_iter().chain(callers.iter().map(ToString::to_string)));
    row(&mut text, ["---".to_owned()].into_iter().chain(callers.iter().map(|_| "---:".to_owned())));
    for candidate in report.candidates.iter().filter(|candidate| is_shown(candidate)) {
        let cells = callers.iter().map(|callers| cell(found(report, candidate, Workload::A, *callers)));
        row(&mut text, [named(candidate)].into_iter().chain(cells));
    }
    text + "\n"
}

/// Our stores without and with a cache, and the fastest peers.
pub(super) fn cached(report: &Report) -> String {
    let mut text = preamble(report, "ops/s of workload B, 95 % reads and 5 % conditional updates");
    text.push_str(
        "| | callers | `Cached` (quartiles) | without | ratio | fastest peer without a cache | ratio | and with one | ratio |\n| --- | ---: | ---: | ---: | ---: | --- | ---: | --- | ---: |\n",
    );
    for ours in report.candidates.iter().filter(|candidate| candidate.kind == Kind::Ours) {
        let of = |kind| {
            report.candidates.iter().filter(move |other| other.engine == ours.engine && other.kind == kind)
        };
        let Some(cached) = of(Kind::Cached).next() else { continue };
        for callers in &report.settings.callers {
            let throughput = |candidate| Some(found(report, candidate, Workload::B, *callers)?.throughput);
            let (Some(with), Some(without)) = (throughput(cached), throughput(ours)) else { continue };
            let fastest = |kind| {
                of(kind)
                    .filter_map(|peer| Some((peer, throughput(peer)?)))
                    .max_by(|one, other| one.1.median.total_cmp(&other.1.median))
            };
            let ratio = |to: Spread| format!("{:.1}", with.median / to.median);
            let beside = |peer: Option<(&Description, Spread)>| match peer {
                Some((peer, found)) => [format!("`{}`: {:.0}", peer.name, found.median), ratio(found)],
                None => ["–".to_owned(), "–".to_owned()],
            };
            let own = [
                format!("`{}`", ours.name),
                callers.to_string(),
                format!("{:.0} ({:.0} to {:.0})", with.median, with.lower, with.upper),
                format!("{:.0}", without.median),
                ratio(without),
            ];
            let peers = [fastest(Kind::Peer), fastest(Kind::CachedPeer)].map(beside);
            row(&mut text, own.into_iter().chain(peers.into_iter().flatten()));
        }
    }
    text + "\n"
}

/// The correctness checks, with one row per store.
pub(super) fn correctness(report: &Report) -> String {
    let mut text = "\n| | keeps both of two updates | stays logged out | a logout reaches other processes | logs out everywhere |\n| --- | --- | --- | --- | --- |\n".to_owned();
    let seen = |finding: &Finding| {
        let answer = match finding.holds {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "–",
        };
        // A passed check needs no explanation.
        if finding.holds == Some(true) { answer.to_owned() } else { format!("{answer}: {}", finding.seen) }
    };
    for checked in &report.correctness {
        let candidate = report.candidates.iter().find(|candidate| candidate.id == checked.candidate);
        let Some(candidate) = candidate else { continue };
        row(
            &mut text,
            [
                format!("{} on {}", named(candidate), candidate.engine),
                seen(&checked.keeps_both_updates),
                seen(&checked.stays_logged_out),
                seen(&checked.logout_reaches_others),
                seen(&checked.logs_out_everywhere),
            ],
        );
    }
    text + "\n"
}

/// A store of a library, and what was found of it, in the order of the columns.
type Answers<'r> = (&'r str, [&'r Finding; 4]);

/// The same with one row for each library. Where its stores differ, the cell names the fewer ones.
pub(super) fn libraries(report: &Report) -> String {
    let mut libraries: Vec<(&str, Vec<Answers<'_>>)> = Vec::new();
    for checked in &report.correctness {
        let candidate = report.candidates.iter().find(|candidate| candidate.id == checked.candidate);
        let Some(candidate) = candidate else { continue };
        let (library, store) = match candidate.name.split_once(' ') {
            Some(peer) if candidate.kind.is_peer() => peer,
            _ => ("this workspace", &*candidate.name),
        };
        let findings = [
            &checked.keeps_both_updates,
            &checked.stays_logged_out,
            &checked.logout_reaches_others,
            &checked.logs_out_everywhere,
        ];
        match libraries.iter_mut().find(|(name, _)| *name == library) {
            Some((_, stores)) => stores.push((store, findings)),
            None => libraries.push((library, vec![(store, findings)])),
        }
    }
    let mut text = "\n| | stores | keeps both of two updates | stays logged out | a logout reaches other processes | logs out everywhere |\n| --- | ---: | --- | --- | --- | --- |\n".to_owned();
    for (library, stores) in libraries {
        let cells = (0..4).map(|question| {
            let answers = stores.iter().map(|(store, findings)| (*store, findings[question].holds));
            summary(&answers.collect::<Vec<_>>())
        });
        row(&mut text, [format!("`{library}`"), stores.len().to_string()].into_iter().chain(cells));
    }
    text + "\n"
}

/// Whether all stores of a library do something, and which of them do not.
fn summary(answers: &[(&str, Option<bool>)]) -> String {
    let those = |wanted: bool| {
        let stores = answers.iter().filter(|(_, holds)| *holds == Some(wanted));
        stores.map(|(store, _)| format!("`{store}`")).collect::<Vec<_>>()
    };
    let (yes, no) = (those(true), those(false));
    match (yes.len(), no.len()) {
        (0, 0) => "no such call".to_owned(),
        (_, 0) => "yes".to_owned(),
        (0, _) => "**no**".to_owned(),
        (many, few) if many >= few => format!("yes, but **no** with {}", no.join(", ")),
        _ => format!("**no**, but yes with {}", yes.join(", ")),
    }
}
