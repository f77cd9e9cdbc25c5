//! The *correct?* columns.

use std::sync::Arc;

use super::Context;
use crate::{
    candidate::{Place, Result, Spec},
    engine::{Engine, clean},
    probe::{Probe, Remote, checks},
};

/// Runs the checks between two processes, for each candidate that is a session library.
pub(super) async fn run(context: &mut Context) {
    for spec in context.specs.clone() {
        let Some(open) = spec.probe else { continue };
        if context.interrupt.has_come() {
            return;
        }
        let (id, place) = (spec.description.id.clone(), context.place(spec.description.engine));
        context.progress.say(format!("{id}: is it right?"));
        let interrupt = context.interrupt.clone();
        let checked = interrupt.or(async {
            let one = open(place.clone()).await?;
            let other = other(&spec, &place, &one).await?;
            Result::<_>::Ok(checks::run(&id, &place.name, &*one, &*other).await)
        });
        match checked.await {
            Some(Ok(seen)) => context.report.correctness.push(seen),
            Some(Err(error)) => context.skip(format!("{id}: correctness"), &error),
            None => return,
        }
        context.progress.step();
        if let Err(error) = clean(&place).await {
            context.skip(id, &format!("what it has stored was not removed: {error}"));
        }
    }
}

/// The second process. For the memory of this process, the first one, because no other can see it.
async fn other(spec: &Spec, place: &Place, one: &Arc<dyn Probe>) -> Result<Arc<dyn Probe>> {
    if spec.description.engine == Engine::Memory {
        return Ok(Arc::clone(one));
    }
    Ok(Arc::new(Remote::start(&spec.description.id, place).await?))
}
