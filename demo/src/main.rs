#![doc = include_str!("../README.md")]

mod app;
mod arguments;
mod headers;
mod hosts;
mod meters;
mod newcomers;
mod pages;
mod store;

use std::{error::Error, process::ExitCode, sync::Arc, time::Duration};

use session_core::{SessionId, SessionStore as _};
use session_layers::Metered;
use session_manager::{SessionManager, WhenReached};
use tokio::{net::TcpListener, time::interval};

use crate::{
    app::{ABSOLUTE, App, IDLE},
    arguments::{Arguments, Command, HELP},
    hosts::Hosts,
    meters::Meters,
    newcomers::Newcomers,
};

/// How often the live sessions are counted for the operators' page.
const CENSUS: Duration = Duration::from_secs(10);

/// The maximum size of a session in bytes, including all notes.
const LARGEST_SESSION: usize = 64 * 1024;

/// The maximum number of sessions of one name, because a name needs no password here.
const MOST_OF_A_NAME: usize = 20;

/// The hint for deployments where the cookies are `Secure`.
const BEHIND_TLS: &str = "\
The cookies are Secure, because other machines may come here: browsers keep them through https alone.
Put a proxy in front that speaks TLS and keeps the Host header, and name its host, for example:
  demo --listen 127.0.0.1:8080 --host app.example.com
";

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse(std::env::args_os()) {
        Ok(Command::Help) => {
            print(HELP);
            Ok(())
        }
        Ok(Command::Serve(arguments)) => serve(arguments).await,
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let meters = Meters::install()?;
    let url = arguments.store_url()?;
    let store = session_connect::connect(&url).await?;
    let listener = TcpListener::bind(&arguments.listen).await.map_err(|error| {
        format!("cannot listen on {}: {error}; choose another address with --listen", arguments.listen)
    })?;
    let store = Arc::new(Metered::new(store));
    let manager = SessionManager::builder_shared(Arc::<Metered<_>>::clone(&store))
        .idle_timeout(IDLE)
        .absolute_timeout(ABSOLUTE)
        .max_len(LARGEST_SESSION)
        .max_sessions_per_owner(MOST_OF_A_NAME, WhenReached::EndOldest)
        .build()?;
    let census = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let mut ticks = interval(CENSUS);
            loop {
                ticks.tick().await;
                // The page shows the last known number. The error has been counted and logged.
                let _ = store.sample().await;
            }
        }
    });
    let address = listener.local_addr()?;
    let hosts = Hosts::new(address.ip(), &arguments.hosts);
    let operators_secret = SessionId::generate();
    print(&format!("Sessions are kept in {}\n", store::place(&url)));
    print(&format!("The operators' page opens with the secret {}\n", operators_secret.expose().as_str()));
    if hosts.are_public() {
        print(BEHIND_TLS);
    }
    print(&format!("Open http://{address}\n"));
    let app = App {
        manager,
        store: Arc::clone(&store),
        meters,
        newcomers: Newcomers::new(),
        operators_secret: Arc::new(operators_secret),
        engine: store::engine(&url),
        place: store::place(&url).into(),
    };
    axum::serve(listener, app.router(hosts)).with_graceful_shutdown(told_to_stop()).await?;
    census.abort();
    store.close().await?;
    Ok(())
}

/// Waits for Ctrl-C, or for the signal that service managers send.
async fn told_to_stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without signals, the server runs until it is killed.
    let _ = interrupt.await;
}

#[expect(clippy::print_stdout, reason = "this is a program, and that is how it talks")]
fn print(text: &str) {
    print!("{text}");
}

#[expect(clippy::print_stderr, reason = "this is a program, and that is how it talks")]
pub(crate) fn complain(error: &dyn Error) {
    eprint!("demo: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprint!(": {cause}");
        source = cause.source();
    }
    eprintln!();
}
