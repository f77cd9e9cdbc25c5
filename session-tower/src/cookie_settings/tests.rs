use super::*;

fn text(settings: &CookieSettings) -> String {
    let id = "A".repeat(28).parse().expect("an id");
    settings.set(&id, settings.default_lifetime()).expect("a header").to_str().expect("ASCII").to_owned()
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let header = text(&CookieSettings::default());
    assert_eq!(header, "__Host-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAA; HttpOnly; SameSite=Lax; Secure; Path=/");
    CookieSettings::default().check().expect("the defaults are valid");
}

#[test]
fn everything_can_be_set() {
    let settings = CookieSettings::new("__Secure-shop")
        .domain("example.com")
        .path("/shop")
        .same_site(SameSite::Strict)
        .http_only(false)
        .partitioned(true)
        .lifetime(CookieLifetime::Persistent(Duration::from_mins(1)));
    settings.check().expect("valid");
    let header = text(&settings);
    for part in
        ["__Secure-shop=", "Domain=example.com", "Path=/shop", "SameSite=Strict", "Max-Age=60", "Partitioned"]
    {
        assert!(header.contains(part), "{header} has no {part}");
    }
    assert!(!header.contains("HttpOnly"));
    assert!(settings.remove().expect("a header").to_str().expect("ASCII").contains("Max-Age=0"));
}

#[test]
fn what_no_browser_would_accept_is_refused() {
    for (settings, said) in [
        (CookieSettings::new(""), "no token"),
        (CookieSettings::new("a b"), "no token"),
        (CookieSettings::new("__Host-a").domain("example.com"), "__Host-"),
        (CookieSettings::new("__host-a").path("/a"), "__Host-"),
        (CookieSettings::new("__Host-a").secure(false), "__Host-"),
        (CookieSettings::new("__Secure-a").secure(false), "__Secure-"),
        (CookieSettings::new("a").secure(false).same_site(SameSite::None), "SameSite=None"),
        (CookieSettings::new("a").secure(false).partitioned(true), "Partitioned"),
        (CookieSettings::new("a").path("a"), "begin with /"),
        (CookieSettings::new("a").path("/;Domain=evil"), "begin with /"),
        (CookieSettings::new("__HOST-"), "prefix and nothing else"),
        (CookieSettings::new("__http-a").http_only(false), "__Http-"),
        (CookieSettings::new("__Host-Http-a").http_only(false), "__Http-"),
        (CookieSettings::new("a".repeat(4096)), "too long"),
        (CookieSettings::new("a").path("/a "), "space"),
        (CookieSettings::new("a").path("/".repeat(1025)), "1024"),
        (CookieSettings::new("a").domain("a;b"), "name of a host"),
        (CookieSettings::new("a").domain(""), "name of a host"),
        (CookieSettings::new("a").domain("."), "name of a host"),
        (CookieSettings::new("a").domain(".."), "name of a host"),
        (CookieSettings::new("a").domain("a..b"), "name of a host"),
        (CookieSettings::new("a").domain("example.com."), "name of a host"),
        (CookieSettings::new("a").domain("-a.com"), "name of a host"),
        (CookieSettings::new("a").lifetime(CookieLifetime::Persistent(Duration::ZERO)), "a second"),
        (
            CookieSettings::new("a").lifetime(CookieLifetime::Persistent(Duration::from_millis(999))),
            "a second",
        ),
    ] {
        let error = settings.check().expect_err(said);
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn for_development_the_prefix_goes_with_secure() {
    let settings = CookieSettings::default().same_site(SameSite::None).insecure();
    settings.check().expect("valid");
    assert_eq!(text(&settings), "session=AAAAAAAAAAAAAAAAAAAAAAAAAAAA; HttpOnly; SameSite=Lax; Path=/");
}
#[test]
fn a_prefix_goes_in_any_case_and_all_of_them_go() {
    for name in ["__Host-x", "__host-x", "__SECURE-x", "__Http-x", "__Host-Http-x", "__Secure-__Host-x"] {
        let settings = CookieSettings::new(name).insecure();
        settings.check().expect("valid");
        let left = if name == "__Host-Http-x" { "Http-x" } else { "x" };
        assert_eq!(settings.name(), left, "{name}");
    }
}

#[test]
fn a_leading_dot_and_a_fraction_of_a_second_are_what_browsers_make_of_them() {
    let settings = CookieSettings::new("a")
        .domain(".example.com")
        .lifetime(CookieLifetime::Persistent(Duration::from_millis(1_001)));
    settings.check().expect("valid");
    let header = text(&settings);
    assert!(header.contains("Domain=example.com") && header.contains("Max-Age=2"), "{header}");
    assert_eq!(CookieLifetime::Persistent(Duration::ZERO).seconds(), Some(1));
    assert_eq!(CookieLifetime::Persistent(Duration::MAX).seconds(), Some(u64::MAX));
}

fn twins(settings: &CookieSettings, host: &str) -> Vec<String> {
    let (request, ()) =
        http::Request::get("/").header(HOST_HEADER, host).body(()).expect("a request").into_parts();
    let headers = settings.remove_twins(&request);
    headers.iter().map(|header| header.to_str().expect("ASCII").to_owned()).collect()
}

#[test]
fn twins_are_removed_where_they_can_be() {
    let settings = CookieSettings::new("a").domain("example.com").path("/shop");
    let headers = twins(&settings, "www.example.com:8080");
    let places: Vec<_> = headers
        .iter()
        .map(|header| {
            let of = |name| header.split("; ").find_map(|part| part.strip_prefix(name)).unwrap_or("-");
            assert!(header.starts_with("a=;") && header.contains("Max-Age=0"), "{header}");
            (of("Domain="), of("Path="))
        })
        .collect();
    assert_eq!(
        places,
        [
            ("-", "/"),
            ("-", "/shop"),
            ("example.com", "/"),
            ("www.example.com", "/"),
            ("www.example.com", "/shop"),
        ]
    );
    assert!(twins(&CookieSettings::default(), "www.example.com").is_empty(), "there can be none");
    for host in ["localhost:8080", "127.0.0.1", "[::1]:80", "a;b.c", ""] {
        assert!(twins(&CookieSettings::new("a"), host).is_empty(), "{host}");
    }
}
