//! No server is left behind.

use std::error::Error;
use std::thread;

use libtest_mimic::Trial;
use rustix::process::{Pid, test_kill_process};
use session_servers::redis::RedisServer;
use tokio::runtime::Runtime;

use crate::trials::{Verdict, redis_case};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        redis_case("drop_leaves_no_process", drop_leaves_no_process),
        redis_case("drop_ends_a_frozen_server", drop_ends_a_frozen_server),
        redis_case("a_server_outlives_the_thread_that_asked_for_it", outlives_its_thread),
    ];
    if cfg!(target_os = "linux") {
        trials.extend(with_the_parent::trials());
    }
    trials
}

async fn drop_leaves_no_process() -> Verdict {
    let server = RedisServer::start().await?;
    let pid = pid(&server)?;
    assert!(is_known(pid));
    drop(server);
    assert!(!is_known(pid), "the process still exists");
    Ok(())
}

async fn drop_ends_a_frozen_server() -> Verdict {
    let server = RedisServer::start().await?;
    let pid = pid(&server)?;
    server.freeze().await?;
    drop(server);
    assert!(!is_known(pid), "the process still exists");
    Ok(())
}

async fn outlives_its_thread() -> Verdict {
    let asker = thread::spawn(|| -> Result<RedisServer, Box<dyn Error + Send + Sync>> {
        Ok(Runtime::new()?.block_on(RedisServer::start())?)
    });
    let server = asker.join().map_err(|_| "the thread panicked")??;
    server.ping().await?;
    Ok(())
}

fn pid(server: &RedisServer) -> Result<Pid, Box<dyn Error + Send + Sync>> {
    let pid = server.pid().ok_or("the server has ended")?;
    Ok(Pid::from_raw(pid.try_into()?).ok_or("no process has the id 0")?)
}

/// Returns true if the kernel knows the process, even as a zombie.
fn is_known(pid: Pid) -> bool {
    test_kill_process(pid).is_ok()
}

/// Only Linux has a parent-death signal, and process handles that never refer to another process.
#[cfg(target_os = "linux")]
mod with_the_parent {
    use std::error::Error;
    use std::fs::{self, Permissions};
    use std::io::{BufRead, BufReader};
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Child, Stdio};

    use libtest_mimic::Trial;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    use session_servers::mariadb::MariaDb;
    use session_servers::postgres::Postgres;
    use session_servers::redis::Redis;
    use session_servers::{Engine, Program};

    use crate::helper;
    use crate::trials::{Verdict, case_with};

    pub(super) fn trials() -> Vec<Trial> {
        let setpriv = Program::new("setpriv", "apt-get install util-linux");
        let needed = |program: Program| if setpriv.find().is_ok() { program } else { setpriv.clone() };
        let name = "a_server_dies_with_its_parent";
        let (redis, postgres, mariadb) =
            (Redis::new().program(), Postgres::new().program(), MariaDb::new().program());
        vec![
            case_with(name, "redis", needed(redis), || async { dies_with_its_parent("hold a server") }),
            case_with(&format!("postgres_{name}"), "postgres", needed(postgres), || async {
                dies_with_its_parent("hold postgres")
            }),
            case_with(&format!("mysql_{name}"), "mysql", needed(mariadb), || async {
                dies_with_its_parent("hold mariadb")
            }),
        ]
    }

    fn dies_with_its_parent(role: &str) -> Verdict {
        // The parent cannot remove its server's directory when it dies, so that is put into one of
        // ours.
        let directory = tempfile::tempdir()?;
        // The server's account must be able to traverse it.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        let mut command = helper::command(role)?;
        let mut parent = Parent(command.env("TMPDIR", directory.path()).stdout(Stdio::piped()).spawn()?);
        let mut line = String::new();
        BufReader::new(parent.0.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let (pid, _) = line.split_once(' ').ok_or(line.clone())?;
        let server = Orphan::watch(pid.parse()?)?;

        parent.0.kill()?;
        parent.0.wait()?;
        server.ended()
    }

    /// The time limit for the kernel to end the server. It is generous, for a loaded machine.
    const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

    /// The parent process. It is killed when the case ends, in whatever way.
    struct Parent(Child);

    impl Drop for Parent {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// The server of another process. It is killed when the case ends, in case it has not died as
    /// it should.
    struct Orphan(OwnedFd);

    impl Orphan {
        fn watch(pid: i32) -> Result<Self, Box<dyn Error + Send + Sync>> {
            let pid = Pid::from_raw(pid).ok_or("no process has the id 0")?;
            Ok(Self(pidfd_open(pid, PidfdFlags::empty())?))
        }

        /// A process handle becomes readable when the process ends, no matter which process reaps
        /// it and when.
        fn ended(&self) -> Verdict {
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&PATIENCE))? {
                0 => Err("the server outlived its parent".into()),
                _ => Ok(()),
            }
        }
    }

    impl Drop for Orphan {
        fn drop(&mut self) {
            let _ = pidfd_send_signal(&self.0, Signal::KILL);
        }
    }
}
