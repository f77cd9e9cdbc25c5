//! A minimal client for one query: <https://mariadb.com/kb/en/connection/>.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// `PROTOCOL_41`, `SECURE_CONNECTION` and `PLUGIN_AUTH`, which current servers require.
const CAPABILITIES: u32 = 0x0008_8200;

/// Runs one query as `root` without a password, over a new connection, and returns the single value
/// of the result.
pub(super) async fn ask(addr: SocketAddr, question: &str) -> io::Result<String> {
    let mut stream = connect(addr).await?;
    query(&mut stream, question).await?;
    if receive(&mut stream).await? != [1] {
        return Err(unexpected("the answer does not have one column"));
    }
    let (_column, _end) = (receive(&mut stream).await?, receive(&mut stream).await?);
    // The value is preceded by its length.
    let row = receive(&mut stream).await?;
    let value = row.get(1..).ok_or_else(|| unexpected("an empty row"))?;
    let value = String::from_utf8_lossy(value).into_owned();
    send(&mut stream, 0, &[1]).await?;
    Ok(value)
}

/// Runs one statement that returns no rows, in the same way.
pub(super) async fn run(addr: SocketAddr, statement: &str) -> io::Result<()> {
    let mut stream = connect(addr).await?;
    query(&mut stream, statement).await?;
    receive(&mut stream).await?;
    send(&mut stream, 0, &[1]).await
}

async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr).await?;
    receive(&mut stream).await?;
    let mut login = CAPABILITIES.to_le_bytes().to_vec();
    login.extend((1_u32 << 24).to_le_bytes());
    // The collation utf8mb4_general_ci, and reserved bytes.
    login.push(45);
    login.extend([0; 23]);
    // Without a password, the answer to the server's challenge is empty.
    login.extend(b"root\0\0mysql_native_password\0");
    send(&mut stream, 1, &login).await?;
    let welcome = receive(&mut stream).await?;
    if welcome.first() != Some(&0) {
        return Err(unexpected("the login was not accepted"));
    }
    Ok(stream)
}

async fn query(stream: &mut TcpStream, text: &str) -> io::Result<()> {
    let query = [&[3], text.as_bytes()].concat();
    send(stream, 0, &query).await
}

async fn send(stream: &mut TcpStream, number: u8, content: &[u8]) -> io::Result<()> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes();
    let header = [length[0], length[1], length[2], number];
    stream.write_all(&[&header, content].concat()).await
}

/// Reads the next packet. An error packet becomes an error.
async fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
    if length > 64 * 1024 {
        return Err(unexpected("a packet of another protocol"));
    }
    let mut content = vec![0; length as usize];
    stream.read_exact(&mut content).await?;
    if content.first() == Some(&0xff) {
        return Err(io::Error::other(String::from_utf8_lossy(&content[1..]).into_owned()));
    }
    Ok(content)
}

fn unexpected(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
