//! What callers do: workloads that look like sessions.

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

/// What one caller does again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// YCSB A: half reads, half updates.
    A,
    /// YCSB B: 95 % reads, 5 % updates.
    B,
    /// YCSB C: reads.
    C,
    /// A page view: a read, and one time in ten the touch that is due.
    Browse,
    /// A session is created, and gets another id at the login.
    Login,
    /// Two sessions of one user are created, and both ended by one call.
    Logout,
    /// Updates of one session for each eight callers: a room in which all write.
    Chat,
    /// YCSB B while thousands of other sessions have expired and are purged.
    Expiry,
}

impl Workload {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 8] =
        [Self::A, Self::B, Self::C, Self::Browse, Self::Login, Self::Logout, Self::Chat, Self::Expiry];

    /// Those of YCSB, which are run with few and with many callers.
    pub const YCSB: [Self; 3] = [Self::A, Self::B, Self::C];

    /// Its name in arguments and in the JSON.
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

    /// Its name in the report.
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
