//! The program of the root README: counts the visits of each browser, in a file.

use axum::{Router, routing::get};
use session_sql::SqliteStore;
use session_tower::{Session, SessionError, SessionLayer};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = SqliteStore::connect("sqlite:app.db").await?;
    let app = Router::new().route("/", get(visits)).layer(SessionLayer::new(store));
    axum::serve(TcpListener::bind("127.0.0.1:8080").await?, app).await?;
    Ok(())
}

async fn visits(session: Session) -> Result<String, SessionError> {
    let n = session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).await?;
    Ok(format!("visit {n}"))
}
