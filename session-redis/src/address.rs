use std::{fmt, path::PathBuf, sync::Arc};

use session_backend::Host;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl Address {
    /// The address of a host of a URL. The port is `default` if the URL names none.
    pub(crate) fn of(host: Host, default: u16) -> Self {
        Self::Tcp { host: host.name, port: host.port.unwrap_or(default) }
    }
}

/// Where to reach the servers that a cluster or a sentinel announces. Default: at the announced
/// address.
#[derive(Clone, Default)]
pub(crate) struct AddressMap(Option<Arc<Reach>>);

type Reach = dyn Fn(&str, u16) -> (String, u16) + Send + Sync;

impl AddressMap {
    pub(crate) fn new(reach: impl Fn(&str, u16) -> (String, u16) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(reach)))
    }

    /// Where to reach a server that was announced at this host and port.
    pub(crate) fn reachable(&self, host: String, port: u16) -> Address {
        let (host, port) = match &self.0 {
            Some(reach) => reach(&host, port),
            None => (host, port),
        };
        Address::Tcp { host, port }
    }
}

impl fmt::Debug for AddressMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddressMap({})", if self.0.is_some() { ".." } else { "" })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}
