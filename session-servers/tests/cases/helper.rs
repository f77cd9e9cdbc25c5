//! Other processes for the cases: this same binary, playing a role that an environment variable names.

use std::env;
use std::future::pending;
use std::io::{self, Write};
use std::process::{Command, ExitCode};

use session_servers::Engine;
use session_servers::mongo::Mongo;
use session_servers::redis::{RedisServer, endpoint};
use tokio::runtime::Runtime;

use crate::trials::Verdict;

const VARIABLE: &str = "SESSION_SERVERS_TEST_ROLE";

/// The role that this process was started for, if it is a helper.
pub(crate) fn role() -> Option<String> {
    env::var(VARIABLE).ok()
}

/// The command for a helper with this role.
pub(crate) fn command(role: &str) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.env(VARIABLE, role);
    Ok(command)
}

/// Plays the role, in the helper.
pub(crate) fn play(role: &str) -> ExitCode {
    let outcome = Runtime::new().map_err(Into::into).and_then(|runtime| {
        runtime.block_on(async {
            match role {
                "hold a server" => hold_a_server().await,
                "find an endpoint" => find_an_endpoint().await,
                "find mongod" => find_mongod(),
                other => Err(format!("unknown role {other:?}").into()),
            }
        })
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The case reads what went wrong from the standard output, as it does with everything else.
            let _ = writeln!(io::stdout(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts a server, says where it is, and keeps it until killed.
async fn hold_a_server() -> Verdict {
    let server = RedisServer::start().await?;
    writeln!(io::stdout(), "{} {}", server.pid().ok_or("the server has ended")?, server.addr())?;
    pending().await
}

/// Says which server the environment gives.
async fn find_an_endpoint() -> Verdict {
    let endpoint = endpoint().await?;
    let kind = if endpoint.server().is_some() { "launched" } else { "external" };
    writeln!(io::stdout(), "{kind} {} {endpoint:?}", endpoint.url())?;
    Ok(())
}

/// Says where `mongod` is.
fn find_mongod() -> Verdict {
    writeln!(io::stdout(), "{}", Mongo::new().program().find()?.display())?;
    Ok(())
}
