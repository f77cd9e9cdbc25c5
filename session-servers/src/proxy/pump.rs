//! One direction of one connection.

use std::collections::VecDeque;
use std::future::pending;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::controls::{ConnectionId, Controls};

/// The size of one read, in bytes.
const PIECE: usize = 16 * 1024;
/// The maximum number of bytes in transit before the sender has to wait. It is large enough that a
/// delay does not limit the throughput.
const HELD: usize = 4 * 1024 * 1024;

/// The direction of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the client to the server.
    Request,
    /// From the server to the client.
    Reply,
}

/// Relays bytes in one direction.
#[derive(Debug)]
pub(super) struct Pump<'a> {
    id: ConnectionId,
    direction: Direction,
    controls: &'a watch::Sender<Controls>,
}

/// Bytes in transit. An empty piece is the end of the stream.
#[derive(Debug)]
struct Piece {
    arrived: Instant,
    bytes: Vec<u8>,
    delivered: usize,
}

impl<'a> Pump<'a> {
    pub(super) fn new(id: ConnectionId, direction: Direction, controls: &'a watch::Sender<Controls>) -> Self {
        Self { id, direction, controls }
    }

    /// Runs until the end of the stream has been passed on.
    pub(super) async fn run(
        &self,
        mut reader: impl AsyncRead + Unpin,
        mut writer: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut changes = self.controls.subscribe();
        let mut buffer = vec![0; PIECE];
        let mut pieces = VecDeque::<Piece>::new();
        let mut held = 0;
        let mut at_end = false;
        loop {
            let (frozen, delay) = {
                let controls = changes.borrow_and_update();
                (controls.is_frozen(self.id), controls.delay)
            };
            let next = pieces.front().filter(|_| !frozen).map(|piece| (piece, piece.arrived + delay));
            // Biased, and cancelled as a whole, so that no byte moves under replaced settings.
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                delivered = self.deliver(next, &mut writer) => {
                    let delivered = delivered?;
                    if let Some(piece) = pieces.front_mut() {
                        piece.delivered += delivered;
                        held -= delivered;
                        if piece.bytes.is_empty() {
                            return Ok(());
                        }
                        if piece.delivered == piece.bytes.len() {
                            pieces.pop_front();
                        }
                    }
                }
                length = reader.read(&mut buffer), if !frozen && !at_end && held < HELD => {
                    let bytes = buffer[..length?].to_vec();
                    at_end = bytes.is_empty();
                    held += bytes.len();
                    pieces.push_back(Piece { arrived: Instant::now(), bytes, delivered: 0 });
                }
            }
        }
    }

    /// Writes as much of the next piece as one write takes, once the piece is due. Cancel-safe: the
    /// wait and the single write each either happen or do not.
    async fn deliver(
        &self,
        next: Option<(&Piece, Instant)>,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<usize> {
        let Some((piece, due)) = next else { return pending().await };
        sleep_until(due).await;
        let rest = &piece.bytes[piece.delivered..];
        if rest.is_empty() {
            writer.shutdown().await?;
            return Ok(0);
        }
        if self.direction == Direction::Reply {
            if self.controls.send_if_modified(|controls| controls.cut_at_reply(self.id)) {
                // Ends the connection immediately. Waiting for the notification could let bytes
                // pass.
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if self.controls.send_if_modified(|controls| controls.swallow(self.id)) {
                return Ok(rest.len());
            }
        }
        writer.write(rest).await
    }
}
