//! The addresses behind a host's name.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

/// The addresses of a host. Blocks for at most `limit`.
///
/// The system's look-up of a name has no time-out: it has a thread of its own, which ends when the
/// look-up does.
pub(super) fn addresses(host: &str, port: u16, limit: Duration) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (send, found) = mpsc::sync_channel(1);
    let host = host.to_owned();
    let look_up = move || {
        let addresses = (host.as_str(), port).to_socket_addrs();
        let _ = send.send(addresses.map(Iterator::collect));
    };
    let thread = thread::Builder::new().name("epochkey-look-up".to_owned());
    thread.spawn(look_up)?;
    match found.recv_timeout(limit) {
        Ok(found) => found,
        Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the look-up has panicked")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let addresses = |host| addresses(host, 7, Duration::from_secs(60));
        assert_eq!(
            addresses("127.0.0.1").unwrap(),
            [([127, 0, 0, 1], 7).into()]
        );
        assert_eq!(addresses("::1").unwrap(), ["[::1]:7".parse().unwrap()]);
        let local = addresses("localhost").unwrap();
        assert!(!local.is_empty());
        assert!(
            local
                .iter()
                .all(|found| found.ip().is_loopback() && found.port() == 7)
        );
        assert!(addresses("").is_err());
    }
}
