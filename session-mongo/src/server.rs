use mongodb::{
    Database,
    bson::{Document, doc},
    error::Error as DriverError,
};
use session_core::{Error, ErrorKind, Operation, Result};

/// The kind of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Standalone,
    ReplicaSet,
    Sharded,
}

/// The wire protocol version of MongoDB 6.0.
const OLDEST: i32 = 17;

pub(crate) async fn hello(database: Database) -> Result<Document, DriverError> {
    database.run_command(doc! { "hello": 1 }).await
}

/// Whether the server takes writes: a primary of a replica set, a standalone server, or a router.
pub(crate) fn is_primary(hello: &Document) -> bool {
    hello.get_bool("isWritablePrimary").unwrap_or_default()
}

/// The kind of a server, or an error if the server is too old.
pub(crate) fn check(hello: &Document) -> Result<Kind> {
    let speaks = hello.get_i32("maxWireVersion").unwrap_or_default();
    if speaks < OLDEST {
        return Err(Error::new(ErrorKind::Unsupported, Operation::Connect).because(format!(
            "the server is older than MongoDB 6.0: it speaks the protocol up to version {speaks}, and {OLDEST} is needed"
        )));
    }
    Ok(if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        Kind::Sharded
    } else if hello.contains_key("setName") {
        Kind::ReplicaSet
    } else {
        Kind::Standalone
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_named_as_such() {
        // The reply of MongoDB 5.0 to `hello`.
        let error = check(&doc! { "isWritablePrimary": true, "maxWireVersion": 13 }).expect_err("too old");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("older than MongoDB 6.0"), "{error}");
        assert!(check(&doc! {}).is_err());
    }

    #[test]
    fn the_kinds() {
        let version = doc! { "maxWireVersion": 17 };
        let with = |name: &str, value: &str| {
            let mut hello = version.clone();
            hello.insert(name, value);
            check(&hello).expect("new enough")
        };
        assert_eq!(check(&version).expect("new enough"), Kind::Standalone);
        assert_eq!(with("setName", "rs0"), Kind::ReplicaSet);
        assert_eq!(with("msg", "isdbgrid"), Kind::Sharded);
    }
}
