use std::{net::SocketAddr, time::Instant};

use axum::http::HeaderValue;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Runs this many clients concurrently, each sending its requests in sequence over one connection.
pub(crate) async fn requests_a_second(
    address: SocketAddr,
    cookie: &HeaderValue,
    clients: usize,
    requests: usize,
) -> f64 {
    let share = requests / clients;
    let cookie = cookie.to_str().expect("text");
    let request = format!("GET / HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\n\r\n");
    let begin = Instant::now();
    let clients: Vec<_> = (0..clients)
        .map(|_| {
            let request = request.clone();
            tokio::spawn(async move {
                let mut connection = TcpStream::connect(address).await.expect("a connection");
                connection.set_nodelay(true).expect("an option of the socket");
                let mut answer = Vec::with_capacity(1_024);
                for _ in 0..share {
                    connection.write_all(request.as_bytes()).await.expect("it is sent");
                    answer.clear();
                    // The body is the number, and arrives with the head.
                    while !answer.ends_with(b"\r\n\r\n42") {
                        let read = connection.read_buf(&mut answer).await.expect("an answer");
                        assert!(read > 0, "the server has closed the connection");
                    }
                    assert!(answer.starts_with(b"HTTP/1.1 200"));
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no panic");
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    let requests = requests as f64;
    requests / begin.elapsed().as_secs_f64()
}
