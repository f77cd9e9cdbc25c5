//! Disks that are full or cannot be written to. They need a file system of their own, which only
//! root can mount.

use std::{
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use session_core::{ErrorKind, Expected, SessionId, SessionKey, SessionStore, Ttl, When, Write};
use session_sql::SqliteStore;

/// A small file system in memory, unmounted on drop.
struct Tmpfs(tempfile::TempDir);

fn mount(arguments: &[&str], at: &Path) -> Result<(), String> {
    let done = Command::new("mount").args(arguments).arg(at).output().map_err(|error| error.to_string())?;
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()) }
}

impl Tmpfs {
    fn new(size: &str) -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], directory.path())?;
        Ok(Self(directory))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily, because threads may still be closing files.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

fn write(len: usize) -> Write {
    Write::new(vec![b'x'; len], Ttl::new(Duration::from_hours(1)).expect("a ttl"))
}

async fn a_full_disk_refuses_writes_and_serves_reads(disk: &Tmpfs) {
    let store = SqliteStore::builder().open(disk.path().join("app.db")).await.expect("a store");
    let mut written: Vec<(SessionKey, Write)> = Vec::new();
    let error = loop {
        let (key, some) = (SessionId::generate().key(), write(10_000));
        match store.write(&key, some.clone(), When::Absent).await {
            Ok(outcome) => assert!(outcome.is_written()),
            Err(error) => break error,
        }
        written.push((key, some));
        assert!(written.len() < 1_000, "it never became full");
    };
    assert!(written.len() > 10, "{} were written", written.len());
    assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert!(!error.may_have_applied());
    let refused = store.write(&SessionId::generate().key(), write(10_000), When::Any).await;
    assert_eq!(refused.expect_err("still full").kind(), ErrorKind::Full);
    for (key, some) in &written {
        let record = store.read(key).await.expect("a read").expect("it was acknowledged");
        assert_eq!((record.version, record.data), (some.version, some.data.clone()));
    }
    // Once there is room again, the store accepts writes again.
    mount(&["-o", "remount,size=8m"], disk.path()).expect("a larger disk");
    assert!(
        store.write(&SessionId::generate().key(), write(10_000), When::Any).await.expect("room").is_written()
    );
    let _ = store.delete(&written[0].0, Expected::Any).await.expect("a delete");
}

async fn a_disk_that_cannot_be_written_to_is_refused(disk: &Tmpfs) {
    let file = disk.path().join("app.db");
    let store = SqliteStore::builder().open(&file).await.expect("a store");
    store.close().await.expect("closed");
    let read_only = ["-o", "remount,ro"];
    let mut tries = 0;
    // The connections' threads may take a moment to close their files.
    while let Err(error) = mount(&read_only, disk.path()) {
        tries += 1;
        assert!(tries < 100, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for path in [file, disk.path().join("new.db")] {
        let error = SqliteStore::builder().open(&path).await.expect_err("it cannot be written to");
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.to_string().contains("the permissions of"), "{error}");
    }
}

fn trial(name: &str, size: &'static str, case: impl AsyncFnOnce(&Tmpfs) + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || {
        let disk = match Tmpfs::new(size) {
            Ok(disk) => disk,
            Err(reason) => {
                let required = std::env::var("SESSION_REQUIRE")
                    .is_ok_and(|words| words.split(',').any(|word| word == "tmpfs"));
                let reason = format!("a tmpfs cannot be mounted here: {reason}");
                return if required {
                    Err(Failed::from(reason))
                } else {
                    Ok(Completion::ignored_with(reason))
                };
            }
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(case(&disk));
        Ok(Completion::Completed)
    })
}

fn main() -> ExitCode {
    let trials = vec![
        trial(
            "a_full_disk_refuses_writes_and_serves_reads",
            "1m",
            a_full_disk_refuses_writes_and_serves_reads,
        ),
        trial(
            "a_disk_that_cannot_be_written_to_is_refused",
            "4m",
            a_disk_that_cannot_be_written_to_is_refused,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
