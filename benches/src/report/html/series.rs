use crate::{
    candidate::{Description, Kind},
    engine::Engine,
    report::Spread,
};

/// How a line looks: a colour and a marker with a dash, so that it is told apart without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// The number of one of the colours in the style sheet.
    pub(super) colour: usize,
    /// The number of a shape, and of a dash.
    pub(super) shape: usize,
}

impl Look {
    /// For a candidate beside others on the same engine: the same on all engines. `peers` counts those before it.
    pub(super) fn of_kind(kind: Kind, peers: usize) -> Self {
        let number = match kind {
            Kind::Ours => 0,
            Kind::Cached => 1,
            Kind::Plain => 2,
            // Twelve before two look alike.
            Kind::Peer => return Self { colour: 3 + peers % 3, shape: 3 + peers % 4 },
        };
        Self { colour: number, shape: number }
    }

    /// For an engine beside others.
    pub(super) fn of_engine(engine: Engine) -> Self {
        let number = Engine::ALL.iter().position(|one| *one == engine).unwrap_or_default();
        Self { colour: number, shape: number }
    }
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) look: Look,
    /// From left to right.
    pub(super) points: Vec<Point>,
}

/// A value with its quartiles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Point {
    pub(super) fn new(x: f64, y: Spread) -> Self {
        Self { x, y: y.median, low: y.lower, high: y.upper }
    }

    pub(super) fn exact(x: f64, y: f64) -> Self {
        Self { x, y, low: y, high: y }
    }
}

impl Series {
    /// With its points from left to right; `None` without any.
    pub(super) fn new(name: impl Into<String>, look: Look, mut points: Vec<Point>) -> Option<Self> {
        points.sort_by(|one, other| one.x.total_cmp(&other.x));
        (!points.is_empty()).then(|| Self { name: name.into(), look, points })
    }
}

/// The candidates on one engine, each with its look.
pub(super) fn on(candidates: &[Description], engine: Engine) -> Vec<(&Description, Look)> {
    let (mut peers, mut has_plain) = (0, false);
    candidates
        .iter()
        .filter(|candidate| candidate.engine == engine)
        .map(|candidate| {
            let mut look = Look::of_kind(candidate.kind, peers);
            peers += usize::from(candidate.kind == Kind::Peer);
            // A second driver is as one more of others.
            if candidate.kind == Kind::Plain && std::mem::replace(&mut has_plain, true) {
                look = Look { colour: 6, shape: 6 };
            }
            (candidate, look)
        })
        .collect()
}
