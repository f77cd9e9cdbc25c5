use std::{io, process::Stdio};

use async_trait::async_trait;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Mutex,
};

use super::{
    Probe, Request,
    node::{Answer, NODE, Question, Start},
};
use crate::candidate::{Error, Place, Result};

/// A probe in another process, which ends when this is dropped.
#[derive(Debug)]
pub struct Remote(std::sync::Arc<Mutex<Pipe>>);

#[derive(Debug)]
struct Pipe {
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Remote {
    /// Starts this program as another process of an application over the candidate with this id.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or does not open the candidate.
    pub async fn start(candidate: &str, place: &Place) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(NODE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let questions = process.stdin.take().ok_or_else(gone)?;
        let answers = BufReader::new(process.stdout.take().ok_or_else(gone)?).lines();
        let mut pipe = Pipe { questions, answers, _process: process };
        // Through the pipe and not as an argument, because a URL may contain a password.
        pipe.send(&Start { candidate: candidate.to_owned(), place: place.clone() }).await?;
        match pipe.receive().await? {
            Answer::Done => Ok(Self(std::sync::Arc::new(Mutex::new(pipe)))),
            other => Err(unexpected(other)),
        }
    }

    async fn ask(&self, question: Question) -> Result<Answer> {
        self.0.lock().await.ask(&question).await
    }
}

impl Pipe {
    async fn send<T: serde::Serialize>(&mut self, message: &T) -> Result<()> {
        let line = serde_json::to_string(message)? + "\n";
        Ok(self.questions.write_all(line.as_bytes()).await?)
    }

    async fn receive(&mut self) -> Result<Answer> {
        let line = self.answers.next_line().await?.ok_or("the other process has ended")?;
        Ok(serde_json::from_str(&line)?)
    }

    async fn ask(&mut self, question: &Question) -> Result<Answer> {
        self.send(question).await?;
        self.receive().await
    }
}

fn unexpected(answer: Answer) -> Error {
    match answer {
        Answer::Failed(error) => error.into(),
        other => format!("unexpected answer {other:?}").into(),
    }
}

#[async_trait]
impl Probe for Remote {
    async fn login(&self, user: &str) -> Result<String> {
        match self.ask(Question::Login(user.to_owned())).await? {
            Answer::Text(Some(id)) => Ok(id),
            other => Err(unexpected(other)),
        }
    }

    async fn begin(&self, id: &str) -> Result<Box<dyn Request>> {
        match self.ask(Question::Begin(id.to_owned())).await? {
            Answer::Request(number) => Ok(Box::new(RemoteRequest { pipe: self.0.clone(), number })),
            other => Err(unexpected(other)),
        }
    }

    async fn logout(&self, id: &str) -> Result<()> {
        match self.ask(Question::Logout(id.to_owned())).await? {
            Answer::Done => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    async fn is_logged_in(&self, id: &str) -> Result<bool> {
        match self.ask(Question::IsLoggedIn(id.to_owned())).await? {
            Answer::Flag(is_it) => Ok(is_it),
            other => Err(unexpected(other)),
        }
    }

    async fn get(&self, id: &str, key: &str) -> Result<Option<String>> {
        match self.ask(Question::Get { id: id.to_owned(), key: key.to_owned() }).await? {
            Answer::Text(text) => Ok(text),
            other => Err(unexpected(other)),
        }
    }

    async fn logout_everywhere(&self, user: &str) -> Option<Result<()>> {
        match self.ask(Question::LogoutEverywhere(user.to_owned())).await {
            Ok(Answer::Done) => Some(Ok(())),
            Ok(Answer::Cannot) => None,
            Ok(other) => Some(Err(unexpected(other))),
            Err(error) => Some(Err(error)),
        }
    }
}

struct RemoteRequest {
    pipe: std::sync::Arc<Mutex<Pipe>>,
    number: usize,
}

#[async_trait]
impl Request for RemoteRequest {
    async fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let question = Question::Set { request: self.number, key: key.to_owned(), value: value.to_owned() };
        match self.pipe.lock().await.ask(&question).await? {
            Answer::Done => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    async fn save(self: Box<Self>) -> Result<()> {
        match self.pipe.lock().await.ask(&Question::Save(self.number)).await? {
            Answer::Done => Ok(()),
            other => Err(unexpected(other)),
        }
    }
}
