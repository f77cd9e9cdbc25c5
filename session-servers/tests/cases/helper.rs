//! Helper processes for the cases: this same binary, in a role that an environment variable names.

use std::env;
use std::future::pending;
use std::io::{self, Write};
use std::process::{Command, ExitCode};

use session_servers::mariadb::{self, MariaDbServer};
use session_servers::mongo::Mongo;
use session_servers::postgres::{self, PostgresServer};
use session_servers::redis::{RedisServer, endpoint};
use session_servers::{Endpoint, Engine, Server};
use tokio::runtime::Runtime;

use crate::trials::Verdict;

const VARIABLE: &str = "SESSION_SERVERS_TEST_ROLE";

/// The role of this process, if it is a helper.
pub(crate) fn role() -> Option<String> {
    env::var(VARIABLE).ok()
}

/// The command for a helper with this role.
pub(crate) fn command(role: &str) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.env(VARIABLE, role);
    Ok(command)
}

/// Performs the role, in the helper process.
pub(crate) fn play(role: &str) -> ExitCode {
    let outcome = Runtime::new().map_err(Into::into).and_then(|runtime| {
        runtime.block_on(async {
            match role {
                "hold a server" => hold(RedisServer::start().await?).await,
                "hold postgres" => hold(PostgresServer::start().await?).await,
                "hold mariadb" => hold(MariaDbServer::start().await?).await,
                "find an endpoint" => show(&endpoint().await?),
                "find postgres" => show(&postgres::endpoint().await?),
                "find mariadb" => show(&mariadb::endpoint().await?),
                "find mongod" => find_mongod(),
                other => Err(format!("unknown role {other:?}").into()),
            }
        })
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The case reads the error from the standard output, as it does with all output.
            let _ = writeln!(io::stdout(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the process id and address of a server, and keeps the server until killed.
async fn hold<E: Engine>(server: Server<E>) -> Verdict {
    writeln!(io::stdout(), "{} {}", server.pid().ok_or("the server has ended")?, server.addr())?;
    pending().await
}

/// Prints which server the environment gives.
fn show<E: Engine>(endpoint: &Endpoint<E>) -> Verdict {
    let kind = if endpoint.server().is_some() { "launched" } else { "external" };
    writeln!(io::stdout(), "{kind} {} {endpoint:?}", endpoint.url())?;
    Ok(())
}

/// Prints the path of `mongod`.
fn find_mongod() -> Verdict {
    writeln!(io::stdout(), "{}", Mongo::new().program().find()?.display())?;
    Ok(())
}
