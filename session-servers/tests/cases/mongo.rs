//! MongoDB, alone and as a replica set.

use std::fs;
use std::time::Duration;

use bson::doc;
use libtest_mimic::Trial;
use session_servers::mongo::{Mongo, MongoReplicaSet, MongoServer, command};
use session_servers::{Engine, Proxy};
use tokio::time::{sleep, timeout};

use crate::helper;
use crate::trials::{Verdict, case, case_with};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        mongo_case("mongod_starts_and_answers", starts_and_answers),
        mongo_case("mongod_is_killed_and_keeps_what_was_journaled", is_killed_and_keeps),
        mongo_case("mongod_is_frozen_and_thawed", is_frozen_and_thawed),
        mongo_case("mongod_refuses_a_configuration_with_its_log", refuses_a_configuration),
        mongo_case("a_replica_set_steps_down_and_elects", steps_down_and_elects),
        mongo_case("a_replica_set_replaces_a_killed_primary", replaces_a_killed_primary),
        mongo_case("a_replica_set_of_one_behind_a_proxy", one_behind_a_proxy),
        case("missing_mongod_says_how_to_get_it", missing_says_how),
        case("the_variable_for_mongod_wins", the_variable_wins),
    ]
}

fn mongo_case<F: Future<Output = Verdict> + 'static>(name: &str, run: fn() -> F) -> Trial {
    case_with(name, "mongo", Mongo::new().program(), run)
}

async fn starts_and_answers() -> Verdict {
    let server = MongoServer::start().await?;
    server.ping().await?;
    assert_eq!(server.url(), format!("mongodb://127.0.0.1:{}/?directConnection=true", server.port()));
    let hello = command(server.addr(), &doc! { "hello": 1 }).await?;
    assert!(hello.get_bool("isWritablePrimary")?);
    assert!(hello.get("setName").is_none(), "it is standalone");
    let refused = command(server.addr(), &doc! { "noSuchCommand": 1 }).await.err().ok_or("no error")?;
    assert!(refused.to_string().contains("CommandNotFound"), "{refused}");
    Ok(())
}

async fn is_killed_and_keeps() -> Verdict {
    let server = MongoServer::start().await?;
    let write = doc! { "insert": "kept", "documents": [{ "_id": 1 }], "writeConcern": { "w": 1, "j": true } };
    assert_eq!(command(server.addr(), &write).await?.get_i32("n")?, 1);
    let pid = server.pid();
    server.kill().await?;
    assert!(server.ping().await.is_err());
    server.restart().await?;
    assert_ne!(server.pid(), pid);
    // Without a condition, the server would answer from a statistic that a crash loses.
    let count = doc! { "count": "kept", "query": { "_id": 1 } };
    assert_eq!(command(server.addr(), &count).await?.get_i32("n")?, 1);
    assert!(server.stop().await?.success());
    Ok(())
}

async fn is_frozen_and_thawed() -> Verdict {
    let server = MongoServer::start().await?;
    server.freeze().await?;
    assert!(server.ping().await.is_err());
    server.thaw()?;
    server.ping().await?;
    Ok(())
}

async fn refuses_a_configuration() -> Verdict {
    let error = Mongo::new().args(["--no-such-setting"]).start().await.err().ok_or("it started")?;
    for part in ["mongod did not start", "no-such-setting"] {
        assert!(error.to_string().contains(part), "{part:?} is not in {error}");
    }
    Ok(())
}

async fn steps_down_and_elects() -> Verdict {
    let set = MongoReplicaSet::start(3, &[], Duration::from_secs(2)).await?;
    let before = set.step_down().await?.addr();
    set.wait_until_ready().await?;
    assert_ne!(set.primary().await?.addr(), before);
    assert_eq!(set.url(), {
        let hosts: Vec<_> = set.members().iter().map(|member| member.addr().to_string()).collect();
        format!("mongodb://{}/?replicaSet=session", hosts.join(","))
    });
    Ok(())
}

async fn replaces_a_killed_primary() -> Verdict {
    let set = MongoReplicaSet::start(3, &[], Duration::from_secs(1)).await?;
    let killed = set.primary().await?;
    let write = doc! { "insert": "kept", "documents": [{ "_id": 1 }], "writeConcern": { "w": "majority" } };
    command(killed.addr(), &write).await?;
    killed.kill().await?;
    let elected = timeout(Duration::from_secs(30), async {
        loop {
            if let Ok(primary) = set.primary().await {
                return primary;
            }
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await?;
    assert_ne!(elected.addr(), killed.addr());
    assert_eq!(
        command(elected.addr(), &doc! { "count": "kept", "query": { "_id": 1 } }).await?.get_i32("n")?,
        1
    );
    killed.restart().await?;
    set.wait_until_ready().await?;
    Ok(())
}

async fn one_behind_a_proxy() -> Verdict {
    let server = MongoReplicaSet::member().start().await?;
    let proxy = Proxy::start(server.addr()).await?;
    let set = MongoReplicaSet::initiate(vec![server], vec![proxy.addr()], Duration::from_secs(1)).await?;
    assert!(set.url().contains(&proxy.addr().to_string()));
    let hello = command(proxy.addr(), &doc! { "hello": 1 }).await?;
    assert_eq!(hello.get_str("primary")?, proxy.addr().to_string());
    Ok(())
}

async fn missing_says_how() -> Verdict {
    let nowhere = helper::command("find mongod")?
        .env("PATH", "")
        .env("XDG_CACHE_HOME", "/nonexistent")
        .env_remove("SESSION_MONGOD")
        .output()?;
    assert!(!nowhere.status.success());
    let said = String::from_utf8(nowhere.stdout)?;
    assert_eq!(
        said,
        "mongod is not installed (try: scripts/test, which fetches it, or set SESSION_MONGOD to its path)\n"
    );
    Ok(())
}

async fn the_variable_wins() -> Verdict {
    let directory = tempfile::tempdir()?;
    let cached = directory.path().join("session-servers/mongod-6.0.5");
    fs::create_dir_all(&cached)?;
    for file in [cached.join("mongod"), directory.path().join("mine")] {
        fs::write(&file, "")?;
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    let find = |variable: &str| -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let mut command = helper::command("find mongod")?;
        command.env("PATH", "").env("XDG_CACHE_HOME", directory.path()).env("SESSION_MONGOD", variable);
        Ok(String::from_utf8(command.output()?.stdout)?)
    };
    let mine = directory.path().join("mine").display().to_string();
    assert_eq!(find(&mine)?, format!("{mine}\n"));
    assert_eq!(find("")?, format!("{}\n", cached.join("mongod").display()));
    let missing = find("/nonexistent/mongod")?;
    assert!(
        missing.contains("mongod at /nonexistent/mongod, which SESSION_MONGOD names, is not installed"),
        "{missing}"
    );
    Ok(())
}
