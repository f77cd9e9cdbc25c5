use super::{Measurement, Mode, Report, Spread};

/// The comparison of this run with an older one.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// When the older one began.
    pub older_date: String,
    /// Whether both runs used the same machine and settings.
    pub same_machine: bool,
    /// The measurements that both runs have.
    pub lines: Vec<Line>,
    /// The number of measurements that only this run has.
    pub unmatched: usize,
}

/// One measurement of both runs.
#[derive(Clone, Debug)]
pub struct Line {
    /// The id of the candidate.
    pub candidate: String,
    /// What was measured, in words.
    pub measurement: String,
    /// The ratio of new to old. The quartiles are the worst cases.
    pub throughput: Spread,
    /// The ratio of new to old.
    pub p99: Spread,
}

impl Comparison {
    /// Compares each measurement with the same measurement in the older run.
    pub fn of(newer: &Report, older: &Report) -> Self {
        let mut lines = Vec::new();
        for new in &newer.measurements {
            if let Some(old) = older.measurements.iter().find(|old| old.is_of_same(new)) {
                lines.push(Line {
                    candidate: new.candidate.clone(),
                    measurement: words(new),
                    throughput: ratio(new.throughput, old.throughput),
                    p99: ratio(new.p99, old.p99),
                });
            }
        }
        Self {
            older_date: older.date.clone(),
            same_machine: newer.machine == older.machine && newer.settings == older.settings,
            unmatched: newer.measurements.len() - lines.len(),
            lines,
        }
    }
}

fn ratio(new: Spread, old: Spread) -> Spread {
    Spread { median: new.median / old.median, lower: new.lower / old.upper, upper: new.upper / old.lower }
}

fn words(measured: &Measurement) -> String {
    let mode = match measured.mode {
        Mode::Closed { callers } => format!("{callers} callers"),
        Mode::Open { .. } => "open loop".to_owned(),
    };
    format!(
        "{}, {mode}, {}, {} × {} B",
        measured.workload, measured.keys, measured.sessions, measured.payload
    )
}
