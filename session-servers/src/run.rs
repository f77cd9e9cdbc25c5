//! One run of a server's program, from its start until it is ready.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::directory::Directory;
use crate::engine::Preparation;
use crate::launcher::Launch;
use crate::ports::is_taken;
use crate::process::Process;
use crate::{Engine, LaunchError};

/// The timeout of a start. It is generous because a loaded machine is not a failure.
const PATIENCE: Duration = Duration::from_mins(1);
/// The timeout of one readiness check.
const QUESTION: Duration = Duration::from_secs(5);
/// The pause between two readiness checks.
const POLL: Duration = Duration::from_millis(5);

/// Runs the engine's preparation commands, which fill the directory before the first start.
pub(crate) async fn prepare<E: Engine>(engine: &E, directory: &Directory) -> Result<(), LaunchError> {
    let data = directory.data();
    for Preparation { program, args } in engine.preparation(&data)? {
        let name = program.display().to_string();
        let launch = Launch {
            program,
            args,
            directory: data.clone(),
            log: directory.open_log().map_err(LaunchError::io("open a log file"))?,
            account: directory.account(),
        };
        let process = launch.start().await.map_err(LaunchError::io("start a process"))?;
        let failed =
            |reason| LaunchError::Failed { program: name.clone(), reason, log: directory.log_tail() };
        match timeout(PATIENCE, process.ended()).await {
            Err(_) => return Err(failed(format!("it did not end within {PATIENCE:?}"))),
            Ok(status) => {
                let status = status.map_err(LaunchError::io("look after a process"))?;
                if !status.success() {
                    return Err(failed(status.to_string()));
                }
            }
        }
    }
    Ok(())
}

/// Starts the program and waits until it serves at `addr`. If that fails, the process is killed.
pub(crate) async fn run<E: Engine>(
    engine: &E,
    program: &Path,
    directory: &Directory,
    addr: SocketAddr,
) -> Result<Process, LaunchError> {
    let data = directory.data();
    let launch = Launch {
        program: program.to_owned(),
        args: engine.command_line(&data, addr),
        directory: data,
        log: directory.open_log().map_err(LaunchError::io("open a log file"))?,
        account: directory.account(),
    };
    let process = launch.start().await.map_err(LaunchError::io("start a process"))?;
    until_ready(engine, addr, &process, directory).await?;
    Ok(process)
}

async fn until_ready<E: Engine>(
    engine: &E,
    addr: SocketAddr,
    process: &Process,
    directory: &Directory,
) -> Result<(), LaunchError> {
    let program = || engine.program().name().to_owned();
    let failed = |reason| LaunchError::Failed { program: program(), reason, log: directory.log_tail() };
    let taken = || LaunchError::PortTaken { program: program(), addr };
    let mut obstacle = String::new();
    tokio::select! {
        biased;
        status = process.ended() => {
            let status = status.map_err(LaunchError::io("look after the server"))?;
            Err(if is_taken(addr) { taken() } else { failed(format!("it ended early, {status}")) })
        }
        ours = serves(engine, addr, process.id(), &mut obstacle) => {
            // If another program took the port first, ours may not have noticed yet.
            if ours { Ok(()) } else { Err(taken()) }
        }
        () = sleep(PATIENCE) => Err(failed(format!("not ready after {PATIENCE:?}, {obstacle}"))),
    }
}

/// Polls until a server answers, and returns whether it is the process `pid`. Stores in `obstacle`
/// why the last check got no answer.
async fn serves<E: Engine>(engine: &E, addr: SocketAddr, pid: u32, obstacle: &mut String) -> bool {
    loop {
        *obstacle = match timeout(QUESTION, engine.serves(addr, pid)).await {
            Ok(Ok(ours)) => return ours,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer for {QUESTION:?}"),
        };
        sleep(POLL).await;
    }
}
