//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};

use crate::{engine::Engine, measure::Options, workload::Workload};

/// Compares session stores, on this machine.
///
/// Without arguments: the embedded stores, and every real server that is installed (launched for
/// the run) or whose URL is in the environment (`SESSION_REDIS_URL`, `SESSION_POSTGRES_URL`,
/// `SESSION_MYSQL_URL`, `SESSION_MONGO_URL`). Prints tables, and writes report.html and
/// report.json.
#[derive(Clone, Debug, Parser)]
#[command(name = "benches", version)]
pub struct Cli {
    /// A task other than measuring.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// A first impression in less than a minute: few sessions, short slices. Not for publication.
    #[arg(long)]
    pub quick: bool,
    /// Only these: memory, sqlite, redis, postgres, mysql, mongo.
    #[arg(long, value_delimiter = ',')]
    pub stores: Vec<Engine>,
    /// Only these: a, b, c, browse, login, logout, chat, expiry.
    #[arg(long, value_delimiter = ',')]
    pub workload: Vec<Workload>,
    /// Also third-party stores. Needs the feature `peers`.
    #[arg(long)]
    pub peers: bool,
    /// Only candidates whose id contains one of these texts, such as `ours` or `redis/plain`.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// The directory for report.html and report.json.
    #[arg(long, default_value = "target/bench-report", global = true)]
    pub out: PathBuf,
    /// An older report.json, to show how much each measurement differs.
    #[arg(long, global = true)]
    pub compare: Option<PathBuf>,
    /// Repetitions of each measurement [default: 5, or 2 with --quick].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub rounds: Option<u16>,
    /// Duration of each repetition, in milliseconds [default: 200, or 20 with --quick].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub slice_ms: Option<u64>,
    /// Numbers of concurrent callers [default: 1,8,64,256,512, or 1,8 with --quick].
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub callers: Vec<u16>,
    /// Number of sessions [default: 100000, or 1000 with --quick].
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..))]
    pub sessions: Option<u32>,
    /// Bytes of data per session, up to a megabyte.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub payload: u32,
    /// Store sizes of the growth section [default: 10000,100000,1000000, or 1000,2000 with --quick;
    /// 0 to omit it].
    #[arg(long, value_delimiter = ',')]
    pub growth: Vec<usize>,
    /// Each write is on disk when it is acknowledged. Otherwise a crash of the machine may lose
    /// about the last second, for all stores alike.
    #[arg(long)]
    pub durable: bool,
}

/// The other tasks of the program.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Writes the figures of a report between the markers in the READMEs of this workspace.
    ///
    /// Run it in the root of the workspace. The blocks begin with a line such as
    /// `<!-- figures: redis -->` and end with `<!-- end of figures -->`.
    Readme {
        /// The report.
        #[arg(default_value = "benches/results/report.json")]
        report: PathBuf,
        /// Writes nothing, and fails if a README differs.
        #[arg(long)]
        check: bool,
    },
    /// Creates report.html from a report.json.
    Page {
        /// The report.
        report: PathBuf,
    },
}

impl Cli {
    /// The selected engines.
    pub fn engines(&self) -> Vec<Engine> {
        if self.stores.is_empty() { Engine::ALL.to_vec() } else { self.stores.clone() }
    }

    /// The options of the run, with defaults.
    pub fn options(&self) -> Options {
        let quick = self.quick;
        let either = |few: &[usize], many: &[usize]| if quick { few.to_vec() } else { many.to_vec() };
        let mut growth = if self.growth.is_empty() {
            either(&[1_000, 2_000], &[10_000, 100_000, 1_000_000])
        } else {
            self.growth.clone()
        };
        growth.retain(|sessions| *sessions > 0);
        growth.sort_unstable();
        let purges = either(&[0, 100], &[0, 1_000, 10_000, 100_000]);
        Options {
            rounds: self.rounds.map_or(if quick { 2 } else { 5 }, usize::from),
            slice: Duration::from_millis(self.slice_ms.unwrap_or(if quick { 20 } else { 200 })),
            sessions: self.sessions.map_or(if quick { 1_000 } else { 100_000 }, |sessions| sessions as usize),
            payload: self.payload as usize,
            callers: if self.callers.is_empty() {
                either(&[1, 8], &[1, 8, 64, 256, 512])
            } else {
                self.callers.iter().map(|callers| usize::from(*callers)).collect()
            },
            workloads: if self.workload.is_empty() { Workload::ALL.to_vec() } else { self.workload.clone() },
            payloads: either(&[4_096], &[256, 1_024, 4_096, 65_536]),
            purges: if growth.is_empty() { Vec::new() } else { purges },
            growth,
            quick,
            durable: self.durable,
        }
    }
}
