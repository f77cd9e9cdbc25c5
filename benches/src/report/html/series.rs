use crate::{
    candidate::{Description, Kind},
    engine::Engine,
    report::Spread,
};

/// The style of a line: a colour, and a marker with a dash, so that lines differ without colour,
/// too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// The index of a colour in the style sheet.
    pub(super) colour: usize,
    /// The index of a shape and of a dash.
    pub(super) shape: usize,
}

impl Look {
    /// One of eight distinct styles.
    pub(super) fn numbered(number: usize) -> Self {
        Self { colour: number % 8, shape: number % 8 }
    }

    /// The style of an engine among others.
    pub(super) fn of_engine(engine: Engine) -> Self {
        Self::numbered(Engine::ALL.iter().position(|one| *one == engine).unwrap_or_default())
    }
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) look: Look,
    /// The points from left to right.
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
    /// Sorts the points from left to right; `None` if there are none.
    pub(super) fn new(name: impl Into<String>, look: Look, mut points: Vec<Point>) -> Option<Self> {
        points.sort_by(|one, other| one.x.total_cmp(&other.x));
        (!points.is_empty()).then(|| Self { name: name.into(), look, points })
    }
}

/// The candidates on one engine with their styles. Our store, the cached one and the first driver
/// have the same style on all engines.
pub(super) fn on(candidates: &[Description], engine: Engine) -> Vec<(&Description, Look)> {
    let (mut has_driver, mut others) = (false, 3..);
    let on_it = candidates.iter().filter(|candidate| candidate.engine == engine);
    on_it
        .map(|candidate| {
            let number = match candidate.kind {
                Kind::Ours => Some(0),
                Kind::Cached => Some(1),
                Kind::Plain if !std::mem::replace(&mut has_driver, true) => Some(2),
                Kind::Plain | Kind::Peer | Kind::CachedPeer => others.next(),
            };
            (candidate, Look::numbered(number.unwrap_or_default()))
        })
        .collect()
}
