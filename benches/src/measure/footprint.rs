//! The memory of sessions, in a process that holds nothing else: this process would reuse freed
//! memory.

use std::process::Stdio;

use tokio::process::Command;

use crate::{
    candidate::{self, Place, Result, TTL},
    engine::Engine,
    memory,
    payload::Payload,
};

/// The argument that starts this program as such a process.
pub const FOOTPRINT: &str = "--footprint-of";

/// The entry point of such a process: prints the bytes by which it grew.
///
/// # Errors
///
/// If its arguments are wrong, or the sessions cannot be stored.
#[expect(clippy::print_stdout, reason = "this is what the process was started for")]
pub async fn answer(arguments: &[String]) -> Result<()> {
    let [id, sessions, payload] = arguments else {
        return Err("candidate, sessions and payload are needed".into());
    };
    let (sessions, payload) = (sessions.parse()?, Payload::of_len(payload.parse()?));
    let spec = candidate::all().into_iter().find(|spec| spec.description.id == *id);
    let place = Place {
        engine: Engine::Memory,
        url: String::new(),
        name: "footprint".to_owned(),
        durable: false,
        purges_itself: true,
    };
    let candidate = (spec.ok_or("there is no such candidate")?.open)(place, sessions).await?;
    // Initialises the text that payloads are cut from, which is not part of the store.
    drop(payload.next());
    let before = memory::resident_bytes();
    candidate.fill(0..sessions, &payload, TTL).await?;
    println!("{}", memory::resident_bytes().saturating_sub(before));
    Ok(())
}

/// The bytes by which another process grows when it stores this many sessions in its memory.
///
/// # Errors
///
/// If the process does not start, or cannot store the sessions.
pub(super) async fn of(id: &str, sessions: usize, payload: usize) -> Result<u64> {
    let output = Command::new(std::env::current_exe()?)
        .args([FOOTPRINT, id, &sessions.to_string(), &payload.to_string()])
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    if !output.status.success() {
        return Err("the process whose memory was to be measured has failed".into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
