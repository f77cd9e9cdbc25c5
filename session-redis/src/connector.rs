use std::{fmt, sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, PushInfo,
    RedisConnectionInfo, RedisResult,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};

use crate::address::Address;

/// Makes connections that are logged in, speak RESP3, and use the right database.
pub(crate) struct Connector {
    pub(crate) login: RedisConnectionInfo,
    /// For TLS: an address whose certificates and settings all connections take over.
    pub(crate) tls: Option<ConnectionAddr>,
    pub(crate) timeout: Duration,
}

/// What is told when the server says something unasked, or when the driver finds the connection broken.
pub(crate) type Unasked = Arc<dyn Fn(PushInfo) + Send + Sync>;

impl Connector {
    pub(crate) async fn connect(
        &self,
        address: &Address,
        unasked: Unasked,
    ) -> RedisResult<MultiplexedConnection> {
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(
            TcpKeepalive::new()
                .with_time(Duration::from_secs(15))
                .with_interval(Duration::from_secs(5))
                .with_retries(3),
        );
        let info = self
            .at(address)
            .into_connection_info()?
            .set_redis_settings(self.login.clone().set_protocol(ProtocolVersion::RESP3))
            .set_tcp_settings(tcp);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(None)
            .set_push_sender(move |info| {
                unasked(info);
                Ok::<(), ()>(())
            });
        Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await
    }

    fn at(&self, address: &Address) -> ConnectionAddr {
        match (address, &self.tls) {
            (Address::Unix(path), _) => ConnectionAddr::Unix(path.clone()),
            (Address::Tcp { host, port }, Some(ConnectionAddr::TcpTls { insecure, tls_params, .. })) => {
                ConnectionAddr::TcpTls {
                    host: host.clone(),
                    port: *port,
                    insecure: *insecure,
                    tls_params: tls_params.clone(),
                }
            }
            (Address::Tcp { host, port }, _) => ConnectionAddr::Tcp(host.clone(), *port),
        }
    }
}

impl fmt::Debug for Connector {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("tls", &self.tls.is_some())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
