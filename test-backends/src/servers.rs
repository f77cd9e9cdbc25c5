//! The servers, each launched once, or named by the environment.

use std::sync::LazyLock;

use session_servers::{
    Endpoint, LaunchError,
    redis::{self, Redis},
};
use tokio::{runtime::Runtime, sync::OnceCell};

/// Outlives the runtimes of the tests. The servers end with the process.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

type Launched<S> = OnceCell<Result<S, String>>;

async fn launched<S: Send + 'static>(
    cell: &'static Launched<S>,
    launch: impl Future<Output = Result<S, LaunchError>> + Send + 'static,
) -> Result<&'static S, String> {
    let launching =
        || async { RUNTIME.spawn(launch).await.expect("no panic").map_err(|error| error.to_string()) };
    cell.get_or_init(launching).await.as_ref().map_err(Clone::clone)
}

/// The URL of a Redis server.
pub(crate) async fn redis() -> Result<String, String> {
    static SERVER: Launched<Endpoint<Redis>> = OnceCell::const_new();
    launched(&SERVER, redis::endpoint()).await.map(Endpoint::url)
}
