//! The state after a server has died and restarted. The engine may have lost a record as a whole,
//! but not a part of it.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};

use session_core::{SessionId, When};

use crate::{
    Context, Fault,
    assertions::{await_service, ensure_absent, millis, put, write},
    failure::Checked,
    product::AT_ONCE,
};

/// How long the server is down.
const DOWN: Duration = Duration::from_millis(400);

/// Kills and restarts the server. Checks that each record is gone or whole: with the data that was
/// written, with no longer ttl, and in the index of its owner.
pub(crate) async fn what_is_left_is_whole(cx: &Context) -> Checked {
    let broken = cx.breakable().await?;
    let rows = cx.effective().into_iter().map(|row| {
        let mut run = cx.run_on(vec![broken.store.clone()]);
        async move {
            run.steps(&row.before).await?;
            run.steps(&row.change).await?;
            Checked::Ok((run, row.start))
        }
    });
    let brief = SessionId::generate().key();
    let mut ends = write("ends while the server is dead");
    ends.ttl = millis(u64::try_from(DOWN.as_millis()).unwrap_or(1) / 2);
    put(&*broken.store, &brief, ends, When::Absent).await?;
    let prepared: Vec<_> = stream::iter(rows).buffer_unordered(AT_ONCE).try_collect().await?;
    // Waits so that a ttl which starts anew would show.
    tokio::time::sleep(Duration::from_millis(100)).await;
    broken.control.inject(Fault::Kill).await;
    tokio::time::sleep(DOWN).await;
    broken.control.heal(Fault::Kill).await;
    await_service(&broken).await?;
    tokio::time::sleep(broken.recovery).await;
    ensure_absent(&*broken.store, &brief).await?;
    for (mut run, start) in prepared {
        let looked = async {
            run.forget_what_is_lost().await?;
            run.look_everywhere().await
        };
        let looked: Checked = looked.await;
        looked.map_err(|failure| failure.within(&format!("after a restart, beginning with: {start}")))?;
    }
    Ok(())
}
