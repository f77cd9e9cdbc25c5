//! A minimal client for one query: <https://www.postgresql.org/docs/15/protocol-flow.html>.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than any message that is read here. Detects a server that is not `PostgreSQL`.
const LONGEST: u32 = 64 * 1024;

/// Runs one query as the superuser, over a new connection, and returns the single value of the
/// result.
pub(super) async fn ask(addr: SocketAddr, question: &str) -> io::Result<String> {
    let rows = rows(addr, "postgres", question).await?;
    let value = rows.into_iter().next_back().and_then(|row| row.into_iter().next());
    value.ok_or_else(|| unexpected("no row"))
}

/// Runs one query as the superuser, over a new connection to a database, and returns the rows.
pub(super) async fn rows(addr: SocketAddr, database: &str, question: &str) -> io::Result<Vec<Vec<String>>> {
    let mut stream = TcpStream::connect(addr).await?;
    let mut startup = 196_608_u32.to_be_bytes().to_vec();
    startup.extend(format!("user\0postgres\0database\0{database}\0\0").into_bytes());
    stream.write_all(&framed(&startup)).await?;
    while let (kind, _) = next(&mut stream).await?
        && kind != b'Z'
    {}
    let mut query = question.as_bytes().to_vec();
    query.push(0);
    stream.write_all(b"Q").await?;
    stream.write_all(&framed(&query)).await?;
    let mut rows = Vec::new();
    loop {
        match next(&mut stream).await? {
            (b'D', row) => rows.push(values(&row).ok_or_else(|| unexpected("half a row"))?),
            (b'Z', _) => break,
            _ => {}
        }
    }
    stream.write_all(b"X").await?;
    stream.write_all(&framed(&[])).await?;
    Ok(rows)
}

/// Parses the values of a row: their number, then each value after its length. NULL becomes an
/// empty string.
fn values(row: &[u8]) -> Option<Vec<String>> {
    let (count, mut rest) = row.split_first_chunk::<2>()?;
    let mut values = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or_default();
        let (value, after) = after.split_at_checked(length)?;
        values.push(String::from_utf8_lossy(value).into_owned());
        rest = after;
    }
    Some(values)
}

/// Reads the next message. An error message becomes an error.
async fn next(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await?;
    let length = stream.read_u32().await?;
    if !(4..LONGEST).contains(&length) {
        return Err(unexpected("a message of another protocol"));
    }
    let mut content = vec![0; length as usize - 4];
    stream.read_exact(&mut content).await?;
    if kind == b'E' {
        // Fields, each preceded by a letter. `M` is the text.
        let text = content.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(b"M"));
        return Err(io::Error::other(String::from_utf8_lossy(text.unwrap_or_default()).into_owned()));
    }
    Ok((kind, content))
}

fn framed(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], content].concat()
}

fn unexpected(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
