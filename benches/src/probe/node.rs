//! The server side of a [`Remote`](super::Remote): requests on standard input, answers on standard
//! output, one line of JSON each.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::{Probe, Request};
use crate::candidate::{self, Place, Result};

/// The argument that starts this program as such a process.
pub const NODE: &str = "--node-of-a-check";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) candidate: String,
    pub(super) place: Place,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Question {
    Login(String),
    Begin(String),
    Set { request: usize, key: String, value: String },
    Save(usize),
    Logout(String),
    IsLoggedIn(String),
    Get { id: String, key: String },
    LogoutEverywhere(String),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Done,
    Request(usize),
    Text(Option<String>),
    Flag(bool),
    Cannot,
    Failed(String),
}

/// Answers requests until the input ends.
///
/// # Errors
///
/// If the other process violates the protocol.
pub async fn serve() -> Result<()> {
    let mut questions = BufReader::new(tokio::io::stdin()).lines();
    let mut answers = tokio::io::stdout();
    let Some(line) = questions.next_line().await? else { return Ok(()) };
    let node = Node::open(serde_json::from_str(&line)?).await;
    let (mut node, first) = match node {
        Ok(node) => (Some(node), Answer::Done),
        Err(error) => (None, Answer::Failed(error.to_string())),
    };
    let mut answer = first;
    loop {
        answers.write_all((serde_json::to_string(&answer)? + "\n").as_bytes()).await?;
        answers.flush().await?;
        let (Some(node), Some(line)) = (&mut node, questions.next_line().await?) else { return Ok(()) };
        answer = node
            .answer(serde_json::from_str(&line)?)
            .await
            .unwrap_or_else(|error| Answer::Failed(error.to_string()));
    }
}

struct Node {
    probe: Arc<dyn Probe>,
    requests: HashMap<usize, Box<dyn Request>>,
    next: usize,
}

impl Node {
    async fn open(start: Start) -> Result<Self> {
        let spec = candidate::all().into_iter().find(|spec| spec.description.id == start.candidate);
        let open = spec.and_then(|spec| spec.probe).ok_or("there is no such candidate")?;
        Ok(Self { probe: open(start.place).await?, requests: HashMap::new(), next: 0 })
    }

    async fn answer(&mut self, question: Question) -> Result<Answer> {
        let probe = &self.probe;
        Ok(match question {
            Question::Login(user) => Answer::Text(Some(probe.login(&user).await?)),
            Question::Begin(id) => {
                self.requests.insert(self.next, probe.begin(&id).await?);
                self.next += 1;
                Answer::Request(self.next - 1)
            }
            Question::Set { request, key, value } => {
                self.requests.get_mut(&request).ok_or("no such request")?.set(&key, &value).await?;
                Answer::Done
            }
            Question::Save(request) => {
                self.requests.remove(&request).ok_or("no such request")?.save().await?;
                Answer::Done
            }
            Question::Logout(id) => {
                probe.logout(&id).await?;
                Answer::Done
            }
            Question::IsLoggedIn(id) => Answer::Flag(probe.is_logged_in(&id).await?),
            Question::Get { id, key } => Answer::Text(probe.get(&id, &key).await?),
            Question::LogoutEverywhere(user) => match probe.logout_everywhere(&user).await {
                Some(done) => {
                    done?;
                    Answer::Done
                }
                None => Answer::Cannot,
            },
        })
    }
}
