//! What strangers can do over plain HTTP, without a browser.

#[path = "browser/demo.rs"]
mod demo;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::demo::Demo;

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The cookie that a browser would send back.
    fn cookie(&self) -> Option<&str> {
        self.header("set-cookie")?.split(';').next()
    }
}

/// Sends a request with this request line, these headers and this form.
fn ask(demo: &Demo, line: &str, headers: &[(&str, &str)], form: &str) -> Answer {
    let port = demo.address.rsplit_once(':').expect("a port").1;
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("a connection");
    let mut request = format!("{line} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", form.len());
    if line.starts_with("POST") {
        request += "Content-Type: application/x-www-form-urlencoded\r\n";
    }
    for (name, value) in headers {
        request = request + name + ": " + value + "\r\n";
    }
    request += "\r\n";
    stream.write_all(request.as_bytes()).expect("sent");
    // The server may reject a large request before all of it is sent.
    let _ = stream.write_all(form.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

const HOST: (&str, &str) = ("Host", "localhost");

fn get(demo: &Demo, path: &str, cookie: Option<&str>) -> Answer {
    let headers = [Some(HOST), cookie.map(|cookie| ("Cookie", cookie))];
    ask(demo, &format!("GET {path}"), &headers.into_iter().flatten().collect::<Vec<_>>(), "")
}

fn post(demo: &Demo, path: &str, cookie: Option<&str>, form: &str) -> Answer {
    let headers = [Some(HOST), cookie.map(|cookie| ("Cookie", cookie))];
    ask(demo, &format!("POST {path}"), &headers.into_iter().flatten().collect::<Vec<_>>(), form)
}

fn demo() -> Demo {
    Demo::start("memory:", "127.0.0.1:0")
}

#[test]
fn every_response_has_the_headers() {
    let demo = demo();
    let answers = [
        (200, get(&demo, "/", None)),
        (303, get(&demo, "/notes", None)),
        (200, get(&demo, "/style.css", None)),
        (200, get(&demo, "/health", None)),
        (403, get(&demo, "/operators", None)),
        (404, get(&demo, "/nowhere", None)),
        (405, post(&demo, "/", None, "")),
        (422, post(&demo, "/sign-in", None, "nothing=here")),
        (421, ask(&demo, "GET /", &[("Host", "evil.example")], "")),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{}", answer.head);
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{}", answer.head);
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{}", answer.head);
    }
}

#[test]
fn a_host_that_was_not_named_is_not_served() {
    let demo = demo();
    for host in ["evil.example", "localhost.evil.example:8080", "192.0.2.1"] {
        let answer = ask(&demo, "POST /sign-in", &[("Host", host)], "name=Alice");
        assert_eq!((answer.status, answer.cookie()), (421, None), "{host}");
        assert!(!answer.body.contains(host));
    }
    for host in ["localhost:8080", "127.0.0.1", "[::1]:1"] {
        assert_eq!(ask(&demo, "POST /sign-in", &[("Host", host)], "name=Alice").status, 303, "{host}");
    }
}

#[test]
fn what_is_reached_from_elsewhere_has_secure_cookies_and_says_what_that_needs() {
    let local = demo();
    let cookie = post(&local, "/sign-in", None, "name=Alice");
    let cookie = cookie.header("set-cookie").expect("a cookie");
    assert!(cookie.starts_with("session=") && !cookie.contains("Secure"), "{cookie}");
    assert!(!local.printed.contains("TLS"), "{}", local.printed);
    for demo in [
        Demo::start("memory:", "0.0.0.0:0"),
        Demo::start_with(&["--store", "memory:", "--listen", "127.0.0.1:0", "--host", "app.example.com"]),
    ] {
        assert!(demo.printed.contains("TLS") && demo.printed.contains("--host"), "{}", demo.printed);
        let answer = post(&demo, "/sign-in", None, "name=Alice");
        let cookie = answer.header("set-cookie").expect("a cookie");
        assert!(cookie.starts_with("__Host-session=") && cookie.contains("Secure"), "{cookie}");
        let secret = format!("secret={}", demo.secret);
        let answer = post(&demo, "/operators/sign-in", None, &secret);
        let cookie = answer.header("set-cookie").expect("a cookie");
        assert!(cookie.starts_with("__Host-operator=") && cookie.contains("Secure"), "{cookie}");
    }
}

#[test]
fn operators_have_the_secret() {
    let demo = demo();
    let alice = post(&demo, "/sign-in", None, "name=Alice");
    let alice = alice.cookie().expect("a session");
    // A visitor's id is not accepted as an operator's.
    let disguised = alice.replace("session=", "operator=");
    for cookie in [None, Some(alice), Some(&*disguised)] {
        let answer = get(&demo, "/operators?owner=alice", cookie);
        assert_eq!(answer.status, 403);
        assert!(
            !answer.body.contains("Live sessions") && !answer.body.contains("last seen"),
            "{}",
            answer.body
        );
    }
    let wrong = post(&demo, "/operators/sign-in", None, &format!("secret={}", "A".repeat(28)));
    assert_eq!((wrong.status, wrong.cookie()), (403, None));
    let answer = post(&demo, "/operators/sign-in", None, &format!("secret={}", demo.secret));
    let operator = answer.cookie().expect("a session of an operator").to_owned();
    let page = get(&demo, "/operators?owner=alice", Some(&operator)).body;
    assert!(page.contains("Live sessions") && page.contains("last seen"), "{page}");
    let key = page.split("name=\"key\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let form = format!("key={}&owner=alice", key.expect("a session to end"));
    for cookie in [None, Some(alice)] {
        assert_eq!(post(&demo, "/operators/end", cookie, &form).status, 403);
        assert_eq!(get(&demo, "/notes", Some(alice)).status, 200, "it goes on");
    }
    assert_eq!(post(&demo, "/operators/end", Some(&operator), &form).status, 303);
    assert_eq!(get(&demo, "/notes", Some(alice)).status, 303, "it has ended");
    post(&demo, "/operators/sign-out", Some(&operator), "");
    assert_eq!(get(&demo, "/operators", Some(&operator)).status, 403);
}

#[test]
fn guests_store_little_and_not_for_ever_more() {
    let demo = demo();
    let huge = format!("name={}", "x".repeat(9_000));
    let answer = post(&demo, "/sign-in", None, &huge);
    assert_eq!((answer.status, answer.cookie()), (413, None));
    // A long input that fits into a form is truncated to the length of a name.
    let answer = post(&demo, "/sign-in", None, &format!("name={}", "y".repeat(4_000)));
    let guest = answer.cookie().expect("a session of a guest").to_owned();
    let page = get(&demo, "/", Some(&guest)).body;
    assert!(page.contains(&"y".repeat(40)) && !page.contains(&"y".repeat(41)), "{page}");
    // A guest that returns does not begin a new session.
    for _ in 0..3 {
        assert_eq!(post(&demo, "/sign-in", Some(&guest), "name=").cookie(), None);
    }
    let begun = (0..1_100).filter(|_| post(&demo, "/sign-in", None, "name=").cookie().is_some()).count();
    assert_eq!(begun, 999);
    assert_eq!(post(&demo, "/sign-in", None, "name=Alice").status, 429);
    assert_eq!(post(&demo, "/sign-in", Some(&guest), "name=Alice").status, 303, "this one is in already");
}

#[test]
fn another_user_of_the_same_session_reads_nothing_of_the_first() {
    let demo = demo();
    let alice = post(&demo, "/sign-in", None, "name=Alice");
    let alice = alice.cookie().expect("a session");
    post(&demo, "/notes", Some(alice), "text=for+Alice+alone");
    assert!(get(&demo, "/notes", Some(alice)).body.contains("for Alice alone"));
    let bob = post(&demo, "/sign-in", Some(alice), "name=Bob");
    let page = get(&demo, "/notes", Some(bob.cookie().expect("a session"))).body;
    assert!(page.contains("Hello, Bob") && !page.contains("for Alice alone"), "{page}");
}
