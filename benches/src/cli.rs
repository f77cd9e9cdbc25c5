//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};

use crate::{engine::Engine, measure::Options, workload::Workload};

/// Compares session stores, on this machine.
///
/// Without arguments: the embedded stores, and every real server that is installed (launched for the run), or that an environment variable names
/// by URL (`SESSION_REDIS_URL`, `SESSION_POSTGRES_URL`, `SESSION_MYSQL_URL`, `SESSION_MONGO_URL`). Prints tables, and writes report.html and report.json.
#[derive(Clone, Debug, Parser)]
#[command(name = "benches", version)]
pub struct Cli {
    /// Another task than to measure.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// A first impression, in less than a minute: few sessions, short slices. No figure to quote.
    #[arg(long)]
    pub quick: bool,
    /// Only these: memory, sqlite, redis, postgres, mysql, mongo.
    #[arg(long, value_delimiter = ',')]
    pub stores: Vec<Engine>,
    /// Only these: a, b, c, browse, login, logout, chat, expiry.
    #[arg(long, value_delimiter = ',')]
    pub workload: Vec<Workload>,
    /// Stores of others, too. Needs the feature `peers`.
    #[arg(long)]
    pub peers: bool,
    /// Only candidates whose id contains one of these, such as `ours` or `redis/plain`.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Where report.html and report.json go.
    #[arg(long, default_value = "target/bench-report", global = true)]
    pub out: PathBuf,
    /// An older report.json: shows by how much each measurement differs.
    #[arg(long, global = true)]
    pub compare: Option<PathBuf>,
    /// How often each measurement is repeated [default: 5, or 2 with --quick].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub rounds: Option<u16>,
    /// How long each lasts, in milliseconds [default: 200, or 20 with --quick].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub slice_ms: Option<u64>,
    /// With how many concurrent callers [default: 1,8,64,256,512, or 1,8 with --quick].
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub callers: Vec<u16>,
    /// How many sessions there are [default: 100000, or 1000 with --quick].
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..))]
    pub sessions: Option<u32>,
    /// How many bytes a session holds, up to a megabyte.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub payload: u32,
    /// How far the store grows, for the section on growth [default: 10000,100000,1000000, or 1000,2000 with --quick; 0 to leave it out].
    #[arg(long, value_delimiter = ',')]
    pub growth: Vec<usize>,
    /// Each write on the disk when it is acknowledged. Otherwise a crash of the machine may take back about the last second, of all alike.
    #[arg(long)]
    pub durable: bool,
}

/// What else the program does.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Writes the figures of a report between the markers in the READMEs of this workspace.
    ///
    /// From the root of the workspace. The blocks begin with a line such as `<!-- figures: redis -->` and end with `<!-- end of figures -->`.
    Readme {
        /// The report.
        #[arg(default_value = "benches/results/report.json")]
        report: PathBuf,
        /// Writes nothing, and fails if a README differs.
        #[arg(long)]
        check: bool,
    },
    /// Makes report.html anew from a report.json.
    Page {
        /// The report.
        report: PathBuf,
    },
}

impl Cli {
    /// The engines that were asked for.
    pub fn engines(&self) -> Vec<Engine> {
        if self.stores.is_empty() { Engine::ALL.to_vec() } else { self.stores.clone() }
    }

    /// What was asked for, with defaults where it was not.
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
