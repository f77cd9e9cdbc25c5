use session_connect::Engine;

/// The name of the engine that stores the sessions.
pub(crate) fn engine(url: &str) -> &'static str {
    match Engine::of(url) {
        None | Some(Engine::Memory) => "this process",
        Some(engine) => engine.name(),
    }
}

/// The place of the sessions, as operators may see it: the name of a file, otherwise the engine.
/// Any part of a server's URL may contain a password.
pub(crate) fn place(url: &str) -> String {
    match url.split_once("sqlite:") {
        Some(("", file)) => file.split('?').next().unwrap_or_default().to_owned(),
        _ => engine(url).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for url in
            ["redis://me:secret@host:1/2", "redis://me:p?secret@host", "redis://host?password=secret@1"]
        {
            assert_eq!(place(url), "Redis");
        }
        assert_eq!(place("sqlite:app.db?mode=rw"), "app.db");
    }
}
