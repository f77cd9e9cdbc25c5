//! The part of MongoDB's wire protocol that one command needs: `OP_MSG` with one document.

use std::io;
use std::net::SocketAddr;

use bson::{Document, doc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const OP_MSG: i32 = 2013;

/// The length of the message header, its flags, and the kind of its only section.
const HEADER: usize = 16 + 4 + 1;

/// Longer than any reply that is read here. Detects a server that is not MongoDB.
const LONGEST_REPLY: usize = 16 << 20;

/// Sends one command to the database `admin` and reads the reply. An error reply becomes an error.
pub(super) async fn ask(addr: SocketAddr, command: &Document) -> io::Result<Document> {
    let mut command = command.clone();
    command.insert("$db", "admin");
    let body = command.to_vec().map_err(io::Error::other)?;
    let mut message = Vec::with_capacity(HEADER + body.len());
    let length = i32::try_from(HEADER + body.len()).map_err(io::Error::other)?;
    for word in [length, 1, 0, OP_MSG, 0] {
        message.extend(word.to_le_bytes());
    }
    message.push(0);
    message.extend(body);

    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(&message).await?;
    let length = usize::try_from(stream.read_i32_le().await?).unwrap_or_default();
    if !(HEADER..LONGEST_REPLY).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "whoever answers is not MongoDB"));
    }
    let mut rest = vec![0; length - 4];
    stream.read_exact(&mut rest).await?;
    let reply = Document::from_reader(&rest[HEADER - 4..]).map_err(io::Error::other)?;
    if ok(&reply) { Ok(reply) } else { Err(io::Error::other(refusal(&reply))) }
}

fn ok(reply: &Document) -> bool {
    reply.get("ok").is_some_and(|ok| *ok == doc! { "ok": 1.0 }["ok"] || ok.as_i32() == Some(1))
}

fn refusal(reply: &Document) -> String {
    let name = reply.get_str("codeName").unwrap_or("refused");
    format!("{name}: {}", reply.get_str("errmsg").unwrap_or_default())
}
