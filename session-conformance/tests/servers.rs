//! Servers for targets: the faults, and the shared server. Tested with Memcached.

use std::{future::Future, io, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use libtest_mimic::{Arguments, Completion, Trial};
use session_conformance::{BreakableServer, ChildServer, Fault, FaultControl, SharedServer};
use session_core::SessionStore;
use session_memory::MemoryStore;
use session_servers::{Engine, required};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    time::timeout,
};

/// How long to wait before concluding that no reply arrives, because no event reports that.
const SILENCE: Duration = Duration::from_millis(100);
/// Longer than a reply takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

fn memcached() -> ChildServer {
    let args = ["-l", "127.0.0.1", "-p", ChildServer::PORT];
    ChildServer::command("memcached").args(args).run_as("nobody").installed_by("apt-get install memcached")
}

async fn launch() -> BreakableServer<ChildServer> {
    BreakableServer::launch(memcached()).await.expect("it starts")
}

/// Sends a request, and checks the reply, which has as many bytes as expected.
async fn ask(stream: &mut TcpStream, request: &str, expected: &str) -> io::Result<()> {
    stream.write_all(request.as_bytes()).await?;
    let mut reply = vec![0; expected.len()];
    stream.read_exact(&mut reply).await?;
    assert_eq!(String::from_utf8_lossy(&reply), expected);
    Ok(())
}

/// Returns true if the server at this address answers a new connection within this time.
async fn answers(addr: SocketAddr, within: Duration) -> bool {
    let asking = async { ask(&mut TcpStream::connect(addr).await?, "get nothing\r\n", "END\r\n").await };
    matches!(timeout(within, asking).await, Ok(Ok(())))
}

async fn each_fault_comes_and_goes() {
    let server = launch().await;
    let (proxied, beside) = (server.proxy().addr(), server.server().addr());
    for (fault, beside_answers) in [(Fault::Freeze, false), (Fault::Kill, false), (Fault::LoseReplies, true)]
    {
        assert!(answers(proxied, PATIENCE).await && answers(beside, PATIENCE).await);
        server.inject(fault).await;
        assert!(!answers(proxied, SILENCE).await, "{fault:?}");
        let within = if beside_answers { PATIENCE } else { SILENCE };
        assert_eq!(answers(beside, within).await, beside_answers, "{fault:?}");
        server.heal(fault).await;
    }
    assert!(answers(proxied, PATIENCE).await);
}

async fn a_cut_takes_effect_once_on_each_connection() {
    let server = launch().await;
    let connect = || TcpStream::connect(server.proxy().addr());
    let (mut cut, mut spared) = (connect().await.expect("open"), connect().await.expect("open"));
    for stream in [&mut cut, &mut spared] {
        ask(stream, "get nothing\r\n", "END\r\n").await.expect("it works before");
    }
    server.inject(Fault::Cut).await;
    assert!(answers(server.proxy().addr(), PATIENCE).await, "a later connection works");
    let lost = ask(&mut cut, "set key 0 0 4\r\nmine\r\n", "STORED\r\n").await.expect_err("it is cut");
    assert_eq!(lost.kind(), io::ErrorKind::ConnectionReset);
    let mut beside = TcpStream::connect(server.server().addr()).await.expect("open");
    ask(&mut beside, "get key\r\n", "VALUE key 0 4\r\nmine\r\nEND\r\n").await.expect("it was carried out");
    server.heal(Fault::Cut).await;
    ask(&mut spared, "get nothing\r\n", "END\r\n").await.expect("it was spared");
}

async fn the_store_is_behind_the_proxy_and_the_other_past_it() {
    let server = launch().await;
    let expected = [server.proxy().addr(), server.server().addr()];
    let opened = std::sync::Mutex::new(Vec::new());
    let second = Duration::from_secs(1);
    let broken = server.breakable(second, 2 * second, |addr| {
        opened.lock().expect("no panic").push(addr);
        async { Ok(Arc::new(MemoryStore::new()) as Arc<dyn SessionStore>) }
    });
    let broken = broken.await.expect("it opens");
    assert_eq!(*opened.lock().expect("no panic"), expected);
    assert!(broken.beside.is_some());
    assert_eq!((broken.deadline, broken.recovery), (second, 2 * second));
}

async fn a_shared_server_is_launched_once_and_dies_with_its_last_handle() {
    let server = SharedServer::new(memcached());
    let others = [(); 3].map(|()| {
        let handle = server.clone();
        // As in the suite, where each case has its own runtime.
        std::thread::spawn(move || Runtime::new().expect("a runtime").block_on(handle.addr()))
    });
    let addr = server.addr().await.expect("it starts");
    for other in others {
        assert_eq!(other.join().expect("no panic"), Ok(addr));
    }
    let last = server.clone();
    drop(server);
    assert!(answers(addr, PATIENCE).await);
    drop(last);
    let refused = TcpStream::connect(addr).await.expect_err("it is dead");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

async fn a_missing_program_is_a_reason() {
    let missing =
        SharedServer::new(ChildServer::command("no-such-server").installed_by("apt-get install it"));
    let reason = missing.addr().await.expect_err("there is none");
    assert!(format!("{reason:?}").contains("no-such-server is not installed (try: apt-get install it)"));
}

fn case<F: Future<Output = ()> + Send + 'static>(name: &str, run: fn() -> F) -> Trial {
    Trial::ignorable_test(name, move || {
        if let Err(missing) = memcached().program().find().map_err(|error| error.to_string()) {
            return if required("memcached") {
                Err(missing.into())
            } else {
                Ok(Completion::ignored_with(missing))
            };
        }
        Runtime::new()?.block_on(async { timeout(3 * PATIENCE, run()).await })?;
        Ok(Completion::Completed)
    })
}

fn main() -> ExitCode {
    let trials = vec![
        case("each_fault_comes_and_goes", each_fault_comes_and_goes),
        case("a_cut_takes_effect_once_on_each_connection", a_cut_takes_effect_once_on_each_connection),
        case(
            "the_store_is_behind_the_proxy_and_the_other_past_it",
            the_store_is_behind_the_proxy_and_the_other_past_it,
        ),
        case(
            "a_shared_server_is_launched_once_and_dies_with_its_last_handle",
            a_shared_server_is_launched_once_and_dies_with_its_last_handle,
        ),
        case("a_missing_program_is_a_reason", a_missing_program_is_a_reason),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
