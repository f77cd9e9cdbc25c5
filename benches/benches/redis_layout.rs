//! How `RedisStore` should lay out a record: one string with a header, or a hash. Each in pipelines of 64, on one launched `redis-server`.
//!
//! `cargo bench -p benches --bench redis_layout -- [--quick] [--rounds N]`
//!
//! A record has a version, an expiry and 400 bytes of data. Both are read with what is left of the ttl: the string holds its expiry, so that one
//! `TIME` for all does; the hash needs a `PTTL` each. Both are written by one call of a script for all, that compares the version first.

use std::{fs, time::Instant};

use benches::{args::Args, rounds::series, summary::Summary, table::Table};
use rand::{Rng as _, RngExt as _};
use redis::{Client, Pipeline, aio::MultiplexedConnection, pipe};
use session_servers::redis::RedisServer;

const RECORDS: u32 = 100_000;
const BATCH: u32 = 64;
const TTL: u32 = 3_600_000;

const WRITE_STRING: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
for at = 1, #KEYS do
  local raw = redis.call('GET', KEYS[at])
  if string.sub(raw, 17, 32) == ARGV[3 * at - 2] then
    local expires = now + ARGV[1 + #KEYS * 3] * 1000
    local head = struct.pack('>BBBBI4I8', 83, 1, 0, 0, #ARGV[3 * at], expires)
    redis.call('SET', KEYS[at], head .. ARGV[3 * at - 1] .. ARGV[3 * at], 'PXAT', math.ceil(expires / 1000))
  end
end";

/// The same, with only the header looked at.
const WRITE_STRING_BY_HEADER: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
for at = 1, #KEYS do
  local raw = redis.call('GETRANGE', KEYS[at], 0, 31)
  if string.sub(raw, 17, 32) == ARGV[3 * at - 2] then
    local expires = now + ARGV[1 + #KEYS * 3] * 1000
    local head = struct.pack('>BBBBI4I8', 83, 1, 0, 0, #ARGV[3 * at], expires)
    redis.call('SET', KEYS[at], head .. ARGV[3 * at - 1] .. ARGV[3 * at], 'PXAT', math.ceil(expires / 1000))
  end
end";

/// The same, with a record that the client has put together but for its expiry.
const WRITE_STRING_WHOLE: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
for at = 1, #KEYS do
  local raw = redis.call('GETRANGE', KEYS[at], 0, 31)
  if redis.call('STRLEN', KEYS[at]) > 31 and string.sub(raw, 17, 32) == ARGV[3 * at - 2] then
    local expires = now + ARGV[1 + #KEYS * 3] * 1000
    redis.call('SET', KEYS[at], ARGV[3 * at], 'PXAT', math.ceil(expires / 1000))
    redis.call('SETRANGE', KEYS[at], 8, struct.pack('>I8', expires))
  end
end";

const WRITE_HASH: &str = "
for at = 1, #KEYS do
  if redis.call('HGET', KEYS[at], 'v') == ARGV[3 * at - 2] then
    redis.call('HSET', KEYS[at], 'v', ARGV[3 * at - 1], 'd', ARGV[3 * at])
    redis.call('PEXPIRE', KEYS[at], ARGV[1 + #KEYS * 3])
  end
end";

#[derive(Clone, Copy, Debug)]
enum Way {
    ReadStrings,
    ReadStringsAtOnce,
    ReadHashes,
    WriteStrings,
    WriteStringsByHeader,
    WriteStringsWhole,
    WriteHashes,
}

const WAYS: [(Way, &str); 7] = [
    (Way::ReadStrings, "read strings: TIME, GET .."),
    (Way::ReadStringsAtOnce, "read strings: TIME, MGET"),
    (Way::ReadHashes, "read hashes: HMGET, PTTL .."),
    (Way::WriteStrings, "write strings: GET, SET"),
    (Way::WriteStringsByHeader, "write strings: GETRANGE, SET"),
    (Way::WriteStringsWhole, "write strings: GETRANGE, STRLEN, SET whole, SETRANGE"),
    (Way::WriteHashes, "write hashes"),
];

/// The version is always the same, so that every write takes place.
const VERSION: &[u8; 16] = b"the same version";

fn name(way: Way, number: u32) -> String {
    match way {
        Way::ReadHashes | Way::WriteHashes => format!("hash:{number:064}"),
        _ => format!("string:{number:064}"),
    }
}

fn data() -> Vec<u8> {
    let mut data = vec![0; 400];
    rand::rng().fill_bytes(&mut data);
    data
}

fn batch(way: Way) -> Pipeline {
    let mut commands = pipe();
    let names: Vec<String> = (0..BATCH).map(|_| name(way, rand::rng().random_range(0..RECORDS))).collect();
    match way {
        Way::ReadStrings => {
            commands.cmd("TIME");
            for name in names {
                commands.cmd("GET").arg(name);
            }
        }
        Way::ReadStringsAtOnce => drop(commands.cmd("TIME").cmd("MGET").arg(names)),
        Way::ReadHashes => {
            for name in names {
                commands.cmd("HMGET").arg(&name).arg("v").arg("o").arg("d").cmd("PTTL").arg(&name);
            }
        }
        Way::WriteStrings | Way::WriteStringsByHeader | Way::WriteStringsWhole | Way::WriteHashes => {
            let text = script(way);
            let hash = redis::Script::new(text).get_hash().to_owned();
            commands.cmd("EVALSHA").arg(hash).arg(names.len()).arg(names);
            for _ in 0..BATCH {
                let data = if matches!(way, Way::WriteStringsWhole) {
                    [vec![0; 16], VERSION.to_vec(), data()].concat()
                } else {
                    data()
                };
                commands.arg(VERSION).arg(VERSION).arg(data);
            }
            commands.arg(TTL);
        }
    }
    commands
}

fn script(way: Way) -> &'static str {
    match way {
        Way::WriteStringsByHeader => WRITE_STRING_BY_HEADER,
        Way::WriteStringsWhole => WRITE_STRING_WHOLE,
        Way::WriteHashes => WRITE_HASH,
        _ => WRITE_STRING,
    }
}

async fn fill(connection: &mut MultiplexedConnection) {
    for script in [WRITE_STRING, WRITE_STRING_BY_HEADER, WRITE_STRING_WHOLE, WRITE_HASH] {
        pipe().cmd("SCRIPT").arg("LOAD").arg(script).exec_async(connection).await.expect("loaded");
    }
    for number in 0..RECORDS {
        let mut string = vec![0; 16];
        string.extend(VERSION);
        string.extend(data());
        let mut commands = pipe();
        commands.cmd("SET").arg(name(Way::ReadStrings, number)).arg(string).arg("PX").arg(TTL);
        let hash = name(Way::ReadHashes, number);
        commands
            .cmd("HSET")
            .arg(&hash)
            .arg("v")
            .arg(VERSION)
            .arg("d")
            .arg(data())
            .cmd("PEXPIRE")
            .arg(&hash)
            .arg(TTL);
        commands.exec_async(connection).await.expect("written");
    }
}

/// The server's processor time in microseconds.
fn processor_time(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("it runs");
    stat.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok()).expect("nanoseconds") / 1e3
}

#[tokio::main]
async fn main() {
    let args = Args::from_env();
    let quick = args.flag("--quick");
    let rounds = args.value("--rounds").unwrap_or(if quick { 2 } else { 9 });
    let batches = if quick { 50 } else { 1_000 };
    let server = RedisServer::start().await.expect("redis-server is installed");
    let client = Client::open(server.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    fill(&mut connection).await;
    let pid = server.pid().expect("it runs");
    let handle = tokio::runtime::Handle::current();
    let mut costs = vec![Vec::new(); WAYS.len()];
    let numbered: Vec<usize> = (0..WAYS.len()).collect();
    let times = tokio::task::block_in_place(|| {
        series(rounds, &numbered, |&number| {
            let all: Vec<Pipeline> = (0..batches).map(|_| batch(WAYS[number].0)).collect();
            let (before, begun) = (processor_time(pid), Instant::now());
            for commands in &all {
                let done = handle.block_on(commands.query_async::<Vec<redis::Value>>(&mut connection));
                assert!(done.is_ok());
            }
            let records = f64::from(batches) * f64::from(BATCH);
            costs[number].push((processor_time(pid) - before) / records);
            begun.elapsed().as_secs_f64() * 1e6 / records
        })
    });
    let mut table = Table::new("a record of 64, µs", &["", "server", "quartiles", "in all", "quartiles"]);
    for number in numbered {
        let (cost, time) = (Summary::of(costs[number].clone()), Summary::of(times[number].clone()));
        table.row([
            WAYS[number].1.to_owned(),
            format!("{:.2}", cost.median),
            cost.quartiles_to(2),
            format!("{:.2}", time.median),
            time.quartiles_to(2),
        ]);
    }
    table.print();
}
