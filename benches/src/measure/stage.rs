use std::{fmt, sync::Arc};

use super::Context;
use crate::{
    candidate::{Candidate, Kind, Place, Spec, TTL},
    engine::clean,
    payload::Payload,
};

/// An open candidate, and its place.
pub(super) struct Opened {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) candidate: Arc<dyn Candidate>,
    pub(super) place: Place,
    pub(super) pid: Option<u32>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

/// Opens a candidate with room for this many sessions.
///
/// Returns `None` after an interrupt, or on failure, which the report then contains.
pub(super) async fn open(
    context: &mut Context,
    spec: &Spec,
    sessions: usize,
    purges_itself: bool,
) -> Option<Opened> {
    let (id, engine) = (spec.description.id.clone(), spec.description.engine);
    let place = Place { purges_itself, ..context.place(engine) };
    let opening = context.interrupt.or((spec.open)(place.clone(), sessions)).await?;
    match opening {
        Ok(candidate) => {
            Some(Opened { id, kind: spec.description.kind, candidate, place, pid: context.pid(engine) })
        }
        Err(error) => {
            context.skip(id, &format!("it cannot be opened: {error}"));
            None
        }
    }
}

impl Opened {
    /// Stores the sessions `begin` to `end`.
    ///
    /// Returns `false` after an interrupt, or on failure, which the report then contains.
    pub(super) async fn fill(
        &self,
        context: &mut Context,
        begin: usize,
        end: usize,
        payload: Payload,
    ) -> bool {
        context.progress.say(format!("{}: storing {end} sessions", self.id));
        let filling = context.interrupt.clone();
        match filling.or(self.candidate.fill(begin..end, &payload, TTL)).await {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                context.skip(self.id.clone(), &format!("sessions cannot be stored: {error}"));
                false
            }
            None => false,
        }
    }

    /// Closes the candidate, and removes what it has stored.
    pub(super) async fn remove(self, context: &mut Context) {
        let Self { id, candidate, place, .. } = self;
        drop(candidate);
        if let Err(error) = clean(&place).await {
            context.skip(id, &format!("what it has stored was not removed: {error}"));
        }
    }
}
