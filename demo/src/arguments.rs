use std::{ffi::OsString, fs, path::PathBuf};

use lexopt::{Arg, Parser, ValueExt as _};

pub(crate) const HELP: &str = "\
A web application whose sessions are kept in a store of your choice.

usage: demo [OPTIONS]

  --store URL      where the sessions are (default: a file in the data directory)
                     sqlite:app.db   a file, which survives restarts
                     memory:         this process, which forgets them when it ends
                   and, if the program was compiled with --features all-stores:
                     redis://host             Redis or Valkey; redis+sentinel:// and redis+cluster:// as well
                     postgres://me@host/app   a database of PostgreSQL
                     mysql://me@host/app      a database of MySQL or MariaDB
                     mongodb://host/app       a database of MongoDB
  --data DIR       the data directory, made if it is not there (default: demo-data)
  --listen ADDR    address and port (default: 127.0.0.1:8080; port 0 takes a free one)
  --host NAME      a host under which browsers reach this, beside localhost and the address itself; may be repeated.
                   Behind a proxy that speaks TLS: --host app.example.com
  --help           this text
";

/// The parsed command line.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Serve(Arguments),
}

#[derive(Debug)]
pub(crate) struct Arguments {
    store: Option<String>,
    data: PathBuf,
    pub(crate) listen: String,
    pub(crate) hosts: Vec<String>,
}

impl Arguments {
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
        let mut parser = Parser::from_iter(arguments);
        let mut parsed = Self {
            store: None,
            data: PathBuf::from("demo-data"),
            listen: "127.0.0.1:8080".to_owned(),
            hosts: Vec::new(),
        };
        let see_help = |error: lexopt::Error| format!("{error}; --help lists what there is");
        while let Some(argument) = parser.next().map_err(see_help)? {
            let name = match argument {
                Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
                Arg::Long(name @ ("store" | "data" | "listen" | "host")) => name.to_owned(),
                other => return Err(see_help(other.unexpected())),
            };
            let value = parser.value().map_err(see_help)?;
            match &*name {
                "store" => parsed.store = Some(value.string().map_err(see_help)?),
                "data" => parsed.data = value.into(),
                "host" => parsed.hosts.push(value.string().map_err(see_help)?),
                _ => parsed.listen = value.string().map_err(see_help)?,
            }
        }
        Ok(Command::Serve(parsed))
    }

    /// The URL of the store. For the default, creates the data directory.
    pub(crate) fn store_url(&self) -> Result<String, String> {
        if let Some(url) = &self.store {
            return Ok(url.clone());
        }
        let shown = self.data.display();
        fs::create_dir_all(&self.data).map_err(|error| {
            format!("cannot make the data directory {shown}: {error}; choose another one with --data")
        })?;
        let file = self.data.join("sessions.db");
        let path =
            file.to_str().ok_or_else(|| format!("{shown} is not UTF-8; choose another one with --data"))?;
        let escaped = path.replace('%', "%25").replace('?', "%3F");
        Ok(format!("sqlite:{escaped}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Command, String> {
        Arguments::parse(["demo"].iter().chain(arguments).map(OsString::from))
    }

    #[test]
    fn everything_has_a_default() {
        let Ok(Command::Serve(arguments)) = parse(&[]) else { panic!("no arguments are needed") };
        assert_eq!(arguments.listen, "127.0.0.1:8080");
    }

    #[test]
    fn the_store_can_be_chosen() {
        let Ok(Command::Serve(arguments)) = parse(&["--store", "memory:"]) else { panic!("it is known") };
        assert_eq!(arguments.store_url(), Ok("memory:".to_owned()));
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = parse(&["--stroe", "memory:"]).expect_err("it is misspelt");
        assert!(error.contains("--stroe") && error.contains("--help"), "{error}");
    }

    #[test]
    fn a_data_directory_that_cannot_be_made_is_named() {
        let Ok(Command::Serve(arguments)) = parse(&["--data", "/dev/null/x"]) else { panic!("it is known") };
        let error = arguments.store_url().expect_err("it cannot be made");
        assert!(error.contains("/dev/null/x") && error.contains("--data"), "{error}");
    }
}
