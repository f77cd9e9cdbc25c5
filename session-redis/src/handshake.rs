use std::io;

use redis::{Value, parse_redis_value};
use session_backend::Credentials;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::no_connection::NoConnection;

/// Longer than any reply to `HELLO`.
const LONGEST: usize = 64 * 1024;

/// Logs in and switches to RESP3, before the driver takes over the stream.
///
/// The driver could do both, but it loses the error of a server that answers once and closes the
/// connection, because there are too many clients or the protected mode is on.
pub(crate) async fn hello<S>(
    stream: &mut S,
    credentials: Option<&Credentials>,
    client_name: Option<&str>,
) -> Result<(), NoConnection>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut hello = redis::cmd("HELLO");
    hello.arg(3);
    if let Some(Credentials { user, password }) = credentials {
        hello.arg("AUTH").arg(user.as_deref().unwrap_or("default")).arg(password.expose());
    }
    if let Some(name) = client_name {
        hello.arg("SETNAME").arg(name);
    }
    // A server that has already closed the connection may have sent the reason.
    if stream.write_all(&hello.get_packed_command()).await.is_ok() {
        let _ = stream.flush().await;
    }
    let mut answer = Vec::new();
    loop {
        match stream.read_buf(&mut answer).await {
            Ok(0) => {
                return Err(if answer.is_empty() { NoConnection::Closed } else { NoConnection::NotRedis });
            }
            Ok(_) => {}
            // The server rejected the client's certificate, and reports it after the handshake.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(NoConnection::Tls(error)),
            Err(_) => return Err(NoConnection::Closed),
        }
        match parse_redis_value(&answer) {
            Ok(Value::ServerError(error)) => {
                let secret = credentials.map(|credentials| credentials.password.expose());
                return Err(NoConnection::refused(&error, secret));
            }
            Ok(_) => return Ok(()),
            Err(error) if error.is_connection_dropped() && answer.len() < LONGEST => {}
            Err(_) => return Err(NoConnection::NotRedis),
        }
    }
}

#[cfg(test)]
mod tests {
    use session_backend::Credentials;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::hello;

    /// The outcome of a login when the server replies with this and closes the connection.
    async fn told(said: &[u8]) -> String {
        let (mut client, mut server) = tokio::io::duplex(4_096);
        let answer = async {
            let mut asked = [0; 4];
            server.read_exact(&mut asked).await.expect("a question");
            server.write_all(said).await.expect("an answer");
            drop(server);
        };
        let credentials = Credentials::new("web", "geheim");
        let (outcome, ()) = tokio::join!(hello(&mut client, Some(&credentials), None), answer);
        outcome.map_or_else(|error| error.to_string(), |()| "logged in".to_owned())
    }

    #[tokio::test]
    async fn what_the_server_says_is_kept() {
        assert_eq!(told(b"%1\r\n+proto\r\n:3\r\n").await, "logged in");
        let denied = told(b"-DENIED Redis is running in protected mode because..\r\n").await;
        assert!(denied.contains("DENIED Redis is running in protected mode because.."), "{denied}");
        let clients = told(b"-ERR max number of clients reached\r\n").await;
        assert!(clients.contains("max number of clients reached"), "{clients}");
    }

    #[tokio::test]
    async fn what_is_not_redis_is_told_from_what_closes() {
        let closed = told(b"").await;
        assert!(closed.contains("closes the connection"), "{closed}");
        for other in
            [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x15\x03\x03\x00\x02\x02\x32", b"%1\r\n+pro"]
        {
            let told = told(other).await;
            assert!(told.contains("does not speak the protocol of Redis"), "{told}");
        }
    }

    /// An old server repeats the arguments of an unknown command.
    #[tokio::test]
    async fn a_password_that_the_server_repeats_is_not() {
        for said in [
            "-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `web`, `geheim`, \r\n",
            "-ERR odd word geheim\r\n",
        ] {
            let told = told(said.as_bytes()).await;
            assert!(!told.contains("geheim") && told.contains("ERR"), "{told}");
        }
    }
}
