//! The cost of a session for an HTTP request.
//!
//! `cargo bench -p benches --bench http_layer -- [--quick] [--rounds N]`, and beside tower-sessions
//! with `--features peers`
//!
//! All candidates use the same axum handler, which answers with a number: without any session, with
//! the number in a session of `MemoryStore` (read, and not read), with a handwritten look-up by
//! cookie, and in the `MemoryStore` of tower-sessions.
//!
//! One part calls the handler in the process and measures processor time, so that the difference is
//! the cost of the layer. The other uses loopback, with 32 clients that have one connection each
//! and share the machine with the server.

mod apps;
mod client;

use axum::{
    Router,
    body::Body,
    http::{Request, header::COOKIE},
};
use benches::{args::Args, cpu_time, rounds::series, summary::Summary, table::Table};
use tokio::{net::TcpListener, runtime::Builder};
use tower::Service as _;

use crate::apps::App;

/// The number of clients over loopback.
const CLIENTS: usize = 32;

fn main() {
    let args = Args::from_env();
    let quick = args.flag("--quick");
    let rounds = args.value("--rounds").unwrap_or(if quick { 2 } else { 11 });
    let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let apps = runtime.block_on(apps::all());
    let numbers: Vec<usize> = (0..apps.len()).collect();

    let calls = if quick { 50_000 } else { 150_000 };
    let single = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let nanoseconds = series(rounds, &numbers, |&number| single.block_on(in_process(&apps[number], calls)));
    let mut table = Table::new(
        "in the process, ns of processor time a request",
        &["", "all of it", "quartiles", "added", "quartiles"],
    );
    for (app, measured) in apps.iter().zip(&nanoseconds) {
        let all = Summary::of(measured.clone());
        let added = measured.iter().zip(&nanoseconds[0]).map(|(this, bare)| this - bare).collect();
        let added = Summary::of(added);
        table.row([
            app.name.to_owned(),
            format!("{:.0}", all.median),
            all.quartiles(),
            format!("{:.0}", added.median),
            added.quartiles(),
        ]);
    }
    table.print();

    let requests = if quick { 3_200 } else { 96_000 };
    let addresses: Vec<_> = apps.iter().map(|app| runtime.block_on(serve(app.router.clone()))).collect();
    let throughputs = series(rounds, &numbers, |&number| {
        runtime.block_on(client::requests_a_second(
            addresses[number],
            &apps[number].cookie,
            CLIENTS,
            requests,
        ))
    });
    let headings = ["", "requests a second", "quartiles", "of those without", "quartiles"];
    let mut table = Table::new(format!("over loopback, {CLIENTS} connections"), &headings);
    for (app, measured) in apps.iter().zip(&throughputs) {
        let (all, ratio) = (Summary::of(measured.clone()), Summary::of_ratios(measured, &throughputs[0]));
        table.row([
            app.name.to_owned(),
            format!("{:.0}", all.median),
            all.quartiles(),
            format!("{:.3}", ratio.median),
            ratio.quartiles_to(3),
        ]);
    }
    table.print();
}

async fn in_process(app: &App, calls: u32) -> f64 {
    let mut router = app.router.clone();
    let begin = cpu_time::of_this_thread();
    for _ in 0..calls {
        let request = Request::get("/").header(COOKIE, &app.cookie).body(Body::empty()).expect("a request");
        let response = router.call(request).await.expect("it cannot fail");
        assert!(response.status().is_success());
    }
    (cpu_time::of_this_thread() - begin) * 1e9 / f64::from(calls)
}

async fn serve(router: Router) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    address
}
