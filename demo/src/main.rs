#![doc = include_str!("../README.md")]

mod app;
mod arguments;
mod meters;
mod pages;
mod store;

use std::{error::Error, process::ExitCode, sync::Arc, time::Duration};

use session_core::SessionStore as _;
use session_manager::{Metered, SessionManager};
use tokio::{net::TcpListener, time::interval};

use crate::{
    app::App,
    arguments::{Arguments, Command, HELP},
    meters::Meters,
};

/// How often the live sessions are counted for the operators' page.
const CENSUS: Duration = Duration::from_secs(10);

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
    let store = store::open(&url).await?;
    let listener = TcpListener::bind(&arguments.listen).await.map_err(|error| {
        format!("cannot listen on {}: {error}; choose another address with --listen", arguments.listen)
    })?;
    let store = Arc::new(Metered::new(store));
    let manager = SessionManager::builder_shared(Arc::<Metered<_>>::clone(&store))
        .idle_timeout(Duration::from_hours(24))
        .build()?;
    let census = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let mut ticks = interval(CENSUS);
            loop {
                ticks.tick().await;
                // The page shows the last number that was had; the error has been counted and logged.
                let _ = store.sample().await;
            }
        }
    });
    let app = App::new(manager, Arc::clone(&store), meters, store::without_password(&url));
    print(&format!("Sessions are kept in {}\n", store::without_password(&url)));
    print(&format!("Open http://{}\n", listener.local_addr()?));
    axum::serve(listener, app.router()).with_graceful_shutdown(told_to_stop()).await?;
    census.abort();
    store.close().await?;
    Ok(())
}

/// Ctrl-C, or the signal that service managers send.
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
    // Without signals, it runs until it is killed.
    let _ = interrupt.await;
}

#[expect(clippy::print_stdout, reason = "this is a program, and that is how it talks")]
fn print(text: &str) {
    print!("{text}");
}

#[expect(clippy::print_stderr, reason = "this is a program, and that is how it talks")]
fn complain(error: &dyn Error) {
    eprint!("demo: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprint!(": {cause}");
        source = cause.source();
    }
    eprintln!();
}
