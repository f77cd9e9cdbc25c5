//! Workloads that resemble the use of sessions.

mod callers;
mod load;
mod open_loop;
mod slice;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use callers::run as closed_loop;
pub use load::{Load, RING, WAVE};
pub use open_loop::run as open_loop;
pub use slice::Slice;

/// The operation that each caller repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// YCSB A: half reads, half updates.
    A,
    /// YCSB B: 95 % reads, 5 % updates.
    B,
    /// YCSB C: reads.
    C,
    /// A page view: a read, and a touch one time in ten.
    Browse,
    /// A session is created, and gets a new id at login.
    Login,
    /// Two sessions of one user are created, and one call ends both.
    Logout,
    /// Updates of shared sessions, one session for every eight callers: a room in which all write.
    Chat,
    /// YCSB B while thousands of other sessions have expired and are purged.
    Expiry,
}

impl Workload {
    /// All workloads, in the order of the report.
    pub const ALL: [Self; 8] =
        [Self::A, Self::B, Self::C, Self::Browse, Self::Login, Self::Logout, Self::Chat, Self::Expiry];

    /// The YCSB workloads, which are run with few and with many callers.
    pub const YCSB: [Self; 3] = [Self::A, Self::B, Self::C];

    /// The name in arguments and in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::C => "c",
            Self::Browse => "browse",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::Chat => "chat",
            Self::Expiry => "expiry",
        }
    }

    /// The name in the report.
    pub fn title(self) -> &'static str {
        match self {
            Self::A => "A: half reads, half updates",
            Self::B => "B: 95 % reads, 5 % updates",
            Self::C => "C: reads",
            Self::Browse => "browse: read, and touch when due",
            Self::Login => "login storm: create, then a new id",
            Self::Logout => "logout everywhere: two logins, one call",
            Self::Chat => "chat: eight callers update one session",
            Self::Expiry => "expiry wave: B while others are purged",
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|workload| workload.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|workload| workload.name()).collect();
            format!("there is no workload '{name}'; there are {}", names.join(", "))
        })
    }
}
