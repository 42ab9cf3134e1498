//! Where the servers are, as the URL says it.

use std::{error::Error, io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_postgres::{
    Client, Config, Connection, NoTls,
    config::{Host, SslMode},
    tls::TlsConnect,
};
#[cfg(feature = "postgres-tls")]
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    budget::Budget,
    messages::Watched,
    options::PostgresOptions,
    stream::{Socket, Stream},
};
use crate::{error::PostgresConnectCause as Cause, store::addresses::addresses};

/// Where no port is named.
const PORT: u16 = 5432;

/// Addresses, and who is to enter.
pub(super) struct Endpoint {
    config: Config,
    /// Each with the name that its certificate must have.
    hosts: Vec<(Host, u16, String)>,
    #[cfg(feature = "postgres-tls")]
    tls: Option<MakeRustlsConnect>,
}

/// What was reached: who asks, and what carries his questions and answers.
pub(super) enum Reached {
    Plain(
        Client,
        Box<Connection<Watched<Stream>, tokio_postgres::tls::NoTlsStream>>,
    ),
    #[cfg(feature = "postgres-tls")]
    Tls(Client, Box<Connection<Stream, Watched<TlsStream>>>),
}

#[cfg(feature = "postgres-tls")]
type TlsStream =
    <<MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<Stream>>::TlsConnect as TlsConnect<
        Stream,
    >>::Stream;

impl Endpoint {
    pub(super) fn new(url: &str, options: &PostgresOptions) -> Result<Self, Cause> {
        let invalid = |error: Box<dyn Error + Send + Sync>| Cause::InvalidUrl(Arc::from(error));
        let mut config: Config = url.parse().map_err(|error| invalid(Box::new(error)))?;
        if config.get_application_name().is_none() {
            config.application_name("epochkey");
        }
        let hosts = hosts(&config).map_err(|text| invalid(text.into()))?;
        let is_tls = config.get_ssl_mode() == SslMode::Require;
        if !is_tls {
            // By itself it would try TLS, and do without where somebody on the way says so.
            config.ssl_mode(SslMode::Disable);
        }
        Self::at(config, hosts, is_tls, options)
    }

    #[cfg(feature = "postgres-tls")]
    fn at(
        config: Config,
        hosts: Vec<(Host, u16, String)>,
        is_tls: bool,
        options: &PostgresOptions,
    ) -> Result<Self, Cause> {
        let tls = match is_tls {
            true => {
                let config = options.certificates.config();
                let config = config.map_err(|error| Cause::InvalidCertificate(Arc::new(error)))?;
                Some(MakeRustlsConnect::new(config))
            }
            false => None,
        };
        Ok(Self { config, hosts, tls })
    }

    #[cfg(not(feature = "postgres-tls"))]
    fn at(
        config: Config,
        hosts: Vec<(Host, u16, String)>,
        is_tls: bool,
        _: &PostgresOptions,
    ) -> Result<Self, Cause> {
        match is_tls {
            true => Err(Cause::NeedsTls),
            false => Ok(Self { config, hosts }),
        }
    }

    /// Hosts and ports, as the URL has them.
    pub(super) fn address(&self) -> String {
        let addresses = self.hosts.iter().map(|(host, port, _)| match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        });
        addresses.collect::<Vec<_>>().join(",")
    }

    /// How many hosts there are to try.
    pub(super) fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// Connects to a host, at the first of its addresses that is reached, and logs in. The
    /// time-out is for each address.
    pub(super) async fn reach(
        &self,
        host: usize,
        limit: Duration,
        budget: &Budget,
    ) -> Result<Reached, Cause> {
        let (host, port, name) = &self.hosts[host];
        let addresses = match host {
            // Not tokio's look-up, which panics if there is no thread for it. Nothing else runs
            // here that could be kept waiting.
            Host::Tcp(host) => addresses(host, *port, limit).map_err(unreachable)?,
            #[cfg(unix)]
            Host::Unix(directory) => {
                let path = directory.join(format!(".s.PGSQL.{port}"));
                let entering = async {
                    let socket = tokio::net::UnixStream::connect(path).await;
                    self.enter(Socket::Unix(socket.map_err(unreachable)?), name, budget)
                        .await
                };
                return timeout(limit, entering).await.map_err(too_late)?;
            }
        };
        let mut last = unreachable(io::Error::other("the host has no address"));
        for address in addresses {
            let entering = async {
                let socket = tokio::net::TcpStream::connect(address).await;
                let socket = socket.map_err(unreachable)?;
                socket.set_nodelay(true).map_err(unreachable)?;
                self.enter(Socket::Tcp(socket), name, budget).await
            };
            match timeout(limit, entering).await {
                Ok(Ok(reached)) => return Ok(reached),
                Ok(Err(cause)) => last = cause,
                Err(elapsed) => last = too_late(elapsed),
            }
        }
        Err(last)
    }

    async fn enter(&self, socket: Socket, name: &str, budget: &Budget) -> Result<Reached, Cause> {
        let stream = Stream {
            socket,
            budget: budget.clone(),
        };
        #[cfg(feature = "postgres-tls")]
        if let Some(tls) = &self.tls {
            use tokio_postgres::tls::MakeTlsConnect;
            let tls = MakeTlsConnect::<Stream>::make_tls_connect(&mut tls.clone(), name);
            let tls = super::messages::Watching {
                tls: tls.map_err(unreachable)?,
                budget: budget.clone(),
            };
            let (client, connection) = self.log_in(stream, tls).await?;
            return Ok(Reached::Tls(client, connection));
        }
        #[cfg(not(feature = "postgres-tls"))]
        let _ = name;
        let stream = Watched::new(stream, budget.clone());
        let (client, connection) = self.log_in(stream, NoTls).await?;
        Ok(Reached::Plain(client, connection))
    }

    async fn log_in<S, T>(
        &self,
        stream: S,
        tls: T,
    ) -> Result<(Client, Box<Connection<S, T::Stream>>), Cause>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: TlsConnect<S>,
    {
        let (client, connection) = self.config.connect_raw(stream, tls).await?;
        Ok((client, Box::new(connection)))
    }
}

/// From talking to the server.
impl From<tokio_postgres::Error> for Cause {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(_) => Self::Refused(Arc::new(error)),
            None => Self::Unreachable(Arc::new(error)),
        }
    }
}

fn unreachable(error: impl Error + Send + Sync + 'static) -> Cause {
    Cause::Unreachable(Arc::new(error))
}

fn too_late(_: tokio::time::error::Elapsed) -> Cause {
    unreachable(io::Error::from(io::ErrorKind::TimedOut))
}

/// The hosts in the order in which the URL has them.
fn hosts(config: &Config) -> Result<Vec<(Host, u16, String)>, &'static str> {
    let (names, addresses) = (config.get_hosts(), config.get_hostaddrs());
    let count = names.len().max(addresses.len());
    if count == 0 {
        return Err("no host");
    }
    if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
        return Err("another number of hosts than of addresses");
    }
    let ports = config.get_ports();
    if ports.len() > 1 && ports.len() != count {
        return Err("another number of ports than of hosts");
    }
    let port = |index| ports.get(index).or(ports.first()).copied().unwrap_or(PORT);
    let host = |index: usize| {
        let name = match names.get(index) {
            Some(Host::Tcp(name)) => name.clone(),
            _ => addresses
                .get(index)
                .map(ToString::to_string)
                .unwrap_or_default(),
        };
        let address = addresses
            .get(index)
            .map(|address| Host::Tcp(address.to_string()));
        let host = address.or_else(|| names.get(index).cloned());
        host.map(|host| (host, port(index), name))
    };
    Ok((0..count).filter_map(host).collect())
}
