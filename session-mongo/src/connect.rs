use std::time::Duration;

use mongodb::{
    Client,
    bson::RawDocumentBuf,
    error::{Error as DriverError, ErrorKind as DriverKind},
    options::ClientOptions,
};
use session_core::{Error, ErrorKind, Operation, Result};

use crate::{
    connection::reads_the_primary,
    errors::{Failure, config, failed, failure},
    indexes::{self, State},
    server::{self, Kind},
    settings::Settings,
};

/// What an opened store knows of its servers.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) database: String,
    pub(crate) kind: Kind,
}

/// Asks the server for its kind, and checks or creates the indexes.
pub(crate) async fn open(
    client: &Client,
    settings: &Settings,
    default_database: Option<String>,
    options: Option<&ClientOptions>,
) -> Result<Opened> {
    let name = settings.database.clone().or(default_database).unwrap_or_else(|| "session".to_owned());
    check_name("database", &name, |c| "/\\. \"$\0".contains(c), 63)?;
    check_name("collection", &settings.collection, |c| "$\0".contains(c), 200)?;
    if settings.collection.starts_with("system.") {
        return Err(config("the collection's name must not begin with `system.`"));
    }
    let database = client.database(&name);
    let hello = match on_a_task(server::hello(database.clone())).await? {
        Ok(hello) => hello,
        Err(error) => {
            let other_name = match options {
                Some(options) => other_replica_set(&error, options).await,
                None => None,
            };
            return Err(other_name.unwrap_or_else(|| refused(error)));
        }
    };
    let kind = server::check(&hello)?;
    let wants_the_primary = options.is_some_and(|options| {
        let criteria = settings.read_preference.as_ref().or(options.selection_criteria.as_ref());
        options.direct_connection == Some(true) && reads_the_primary(criteria)
    });
    if wants_the_primary && !server::is_primary(&hello) {
        return Err(Error::unavailable(Operation::Connect, false).because(
            "the server is not the primary of its replica set, and directConnection=true allows no other; \
             leave it out, and name the replica set: replicaSet=..",
        ));
    }
    let collection = database.collection::<RawDocumentBuf>(&settings.collection);
    let create = settings.create_indexes;
    let found = on_a_task(async move {
        let found = indexes::look(&collection).await?;
        if create {
            indexes::create(&collection, found).await?;
        }
        Ok(found)
    });
    let found = found.await?.map_err(refused)?;
    for (state, keys, options) in [
        (found.ttl, "{e: 1}", "{expireAfterSeconds: 0}"),
        (found.owners, "{o: 1}", "{partialFilterExpression: {o: {$exists: true}}}"),
    ] {
        let command = format!("db.getCollection({:?}).createIndex({keys}, {options})", settings.collection);
        match state {
            State::Different => {
                return Err(config(format!(
                    "the collection has an index {keys} with other options; drop it, and create it by `{command}`"
                )));
            }
            State::Missing if !create => {
                return Err(config(format!("the collection lacks an index; create it by `{command}`")));
            }
            _ => {}
        }
    }
    Ok(Opened { database: name, kind })
}

fn check_name(what: &str, name: &str, forbidden: impl Fn(char) -> bool, most: usize) -> Result<()> {
    if name.is_empty() || name.len() > most {
        return Err(config(format!(
            "the name of the {what} has {} bytes; 1 to {most} are possible",
            name.len()
        )));
    }
    if let Some(c) = name.chars().find(|c| forbidden(*c)) {
        return Err(config(format!("the name of the {what} has a {c:?}, which cannot be")));
    }
    Ok(())
}

/// Runs the driver's work on a task of its own, because its futures must not be dropped half-way,
/// and opening a store may be abandoned.
async fn on_a_task<T: Send + 'static>(
    work: impl Future<Output = Result<T, DriverError>> + Send + 'static,
) -> Result<Result<T, DriverError>> {
    tokio::spawn(work).await.map_err(|panic| {
        Error::new(ErrorKind::Internal, Operation::Connect).because("the driver failed").with_source(panic)
    })
}

fn refused(error: DriverError) -> Error {
    let unavailable = |reason: String| Error::unavailable(Operation::Connect, false).because(reason);
    match &*error.kind {
        DriverKind::Authentication { .. } => {
            config("the server refuses the user or the password, or the database that knows them (`authSource`) is another")
                .with_source(error)
        }
        DriverKind::Command(refusal) if refusal.code == 13 => config(format!(
            "the user lacks a permission, which the role `readWrite` on the database gives: {}",
            refusal.message
        ))
        .with_source(error),
        // The driver's message sums up the state of each server, including the first reason.
        DriverKind::ServerSelection { message, .. } => unavailable(format!("no server can be used: {message}")).with_source(error),
        _ => match failure(&error, 1) {
            failure @ Failure::Refused(_) => failed(Operation::Connect, failure, false, error),
            _ => unavailable(format!("no answer: {}", error.kind)).with_source(error),
        },
    }
}

/// The timeout of the request for the name of a replica set.
const QUESTION: Duration = Duration::from_millis(500);

/// The error for a replica set of another name than in the URL, if that is why no server could be
/// selected.
async fn other_replica_set(error: &DriverError, options: &ClientOptions) -> Option<Error> {
    let DriverKind::ServerSelection { .. } = &*error.kind else { return None };
    let wanted = options.repl_set_name.clone()?;
    let mut options = options.clone();
    options.hosts.truncate(1);
    options.repl_set_name = None;
    options.direct_connection = Some(true);
    options.credential = None;
    options.server_selection_timeout = Some(QUESTION);
    let client = Client::with_options(options).ok()?;
    let hello = on_a_task(server::hello(client.database("admin"))).await;
    client.shutdown().immediate(true).await;
    let hello = hello.ok()?.ok()?;
    match hello.get_str("setName") {
        Ok(name) if name == wanted => None,
        Ok(name) => {
            Some(config(format!("the server belongs to the replica set {name:?}, and not to {wanted:?}")))
        }
        Err(_) => Some(config(format!("the server belongs to no replica set, and the URL names {wanted:?}"))),
    }
}
