//! The part of Memcached's text protocol that the store needs.

use std::io;

use session_core::ErrorKind;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::record::Stored;

/// How many requests are sent before their replies are read. They fit into the buffers of both
/// sides, so neither side waits for the other.
const PIPELINED: usize = 16;

/// One connection. After a call that failed or was dropped, its replies no longer match its
/// requests, so it must be dropped, too.
pub(crate) struct Connection(BufReader<TcpStream>);

/// The value under a key: a record, which may have expired, no record, or foreign bytes. If a value
/// is there, also the `cas` token under which it can be replaced.
pub(crate) type Found = (Result<Option<Stored>, ErrorKind>, Option<u64>);

impl Connection {
    pub(crate) async fn open(addr: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Returns true unless this node knows that the server has closed the connection.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.0.get_ref().try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    pub(crate) async fn get_many(&mut self, names: &[String]) -> io::Result<Vec<Found>> {
        let mut all = Vec::with_capacity(names.len());
        for some in names.chunks(PIPELINED) {
            let requests: String = some.iter().flat_map(|name| ["gets ", name, "\r\n"]).collect();
            self.0.write_all(requests.as_bytes()).await?;
            for _ in some {
                all.push(self.value().await?);
            }
        }
        Ok(all)
    }

    /// Stores a record in place of the one with this token, or where none is. Returns `false` if
    /// the value has changed.
    pub(crate) async fn put(&mut self, name: &str, stored: &Stored, cas: Option<u64>) -> io::Result<bool> {
        let (value, seconds) = (stored.encode(), stored.seconds());
        let (command, cas) = cas.map_or(("add", String::new()), |cas| ("cas", format!(" {cas}")));
        let head = format!("{command} {name} 0 {seconds} {}{cas}\r\n", value.len());
        self.ask(&[head.as_bytes(), &value, b"\r\n"].concat()).await
    }

    /// Removes the record with this token, which only the meta protocol can. Returns `false` if the
    /// value has changed.
    pub(crate) async fn remove(&mut self, name: &str, cas: Option<u64>) -> io::Result<bool> {
        self.ask(format!("md {name} C{}\r\n", cas.unwrap_or_default()).as_bytes()).await
    }

    /// Fails as [`StorageFull`](io::ErrorKind::StorageFull) if the server has no room. Nothing has
    /// then changed.
    async fn ask(&mut self, request: &[u8]) -> io::Result<bool> {
        self.0.write_all(request).await?;
        match self.line().await?.as_str() {
            "STORED" | "HD" => Ok(true),
            "EXISTS" | "NOT_FOUND" | "NOT_STORED" | "EX" | "NF" => Ok(false),
            full if full.starts_with("SERVER_ERROR") => Err(io::Error::new(io::ErrorKind::StorageFull, full)),
            _ => Err(unexpected()),
        }
    }

    /// Reads the reply to one `gets`: `VALUE <name> <flags> <length> <cas>`, the bytes, and `END`,
    /// or only `END`.
    async fn value(&mut self) -> io::Result<Found> {
        let first = self.line().await?;
        if first == "END" {
            return Ok((Ok(None), None));
        }
        let mut fields = first.split(' ').skip(3).map_while(|field| field.parse::<u64>().ok());
        let (Some(length), Some(cas)) = (fields.next(), fields.next()) else { return Err(unexpected()) };
        let mut bytes = Vec::new();
        (&mut self.0).take(length.saturating_add(7)).read_to_end(&mut bytes).await?;
        let value = bytes.strip_suffix(b"\r\nEND\r\n").ok_or_else(unexpected)?;
        Ok((Stored::decode(value).map(Some), Some(cas)))
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(unexpected)
    }
}

/// Does not quote the reply, which could be data.
fn unexpected() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the connection ended, or it is not Memcached that replies")
}
