//! A server that requires a password.

use std::{
    ffi::OsString,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use mongodb::{Client, bson::doc};
use session_servers::{
    Engine, Program, Server,
    mongo::{Mongo, MongoReplicaSet, command},
};

pub(crate) const SECRET: &str = "geheim-4711";

/// `mongod` that requires a password once it is told to. It then writes its process id only to a
/// file.
#[derive(Debug, Default)]
pub(crate) struct Guarded {
    on: AtomicBool,
    data: Mutex<PathBuf>,
}

impl Engine for Guarded {
    fn program(&self) -> Program {
        Mongo::new().program()
    }

    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString> {
        data.clone_into(&mut self.data.lock().expect("no panic"));
        let mut args = MongoReplicaSet::member().command_line(data, addr);
        args.extend(["--pidfilepath".into(), data.join("pid").into()]);
        if self.on.load(Ordering::Relaxed) {
            let key = data.join("key");
            std::fs::write(&key, "c2Vzc2lvbg==").expect("a writable directory");
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&key, private).expect("our own file");
            args.extend(["--auth".into(), "--keyFile".into(), key.into()]);
        }
        args
    }

    fn url(&self, addr: SocketAddr) -> String {
        format!("mongodb://{addr}/?replicaSet=session")
    }

    async fn ping(&self, addr: SocketAddr) -> io::Result<()> {
        Mongo::new().ping(addr).await
    }

    async fn serves(&self, addr: SocketAddr, pid: u32) -> io::Result<bool> {
        let hello = command(addr, &doc! { "hello": 1 }).await?;
        if self.on.load(Ordering::Relaxed) && !hello.get_bool("isWritablePrimary").unwrap_or_default() {
            return Err(io::Error::other("it is not the primary yet"));
        }
        let file = self.data.lock().expect("no panic").join("pid");
        Ok(std::fs::read_to_string(file)?.trim() == pid.to_string())
    }
}

/// A replica set of one member that requires a password. The user `web` may use only the database
/// `tests`; the user `root` may do everything.
pub(crate) async fn guarded() -> Server<Guarded> {
    let server = Server::launch(Guarded::default()).await.expect("a server");
    let config = doc! { "_id": "session", "members": [{ "_id": 0, "host": server.addr().to_string() }] };
    command(server.addr(), &doc! { "replSetInitiate": config }).await.expect("initiated");
    let client = Client::with_uri_str(server.url()).await.expect("a client");
    let role = doc! { "role": "readWrite", "db": "tests" };
    let user = doc! { "createUser": "web", "pwd": SECRET, "roles": [role] };
    client.database("admin").run_command(user).await.expect("created");
    let user = doc! { "createUser": "root", "pwd": SECRET, "roles": ["root"] };
    client.database("admin").run_command(user).await.expect("created");
    client.shutdown().immediate(true).await;
    server.engine().on.store(true, Ordering::Relaxed);
    server.restart().await.expect("restarted");
    server
}
