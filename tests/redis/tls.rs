//! TLS: who is trusted, and who is let in.

use std::{
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

use epochkey::{
    Authority, Grant, MasterSecret, RedisConnectError, RedisOptions, RedisStore, Scope,
};
use tempfile::TempDir;

use crate::{
    certificates::{Ca, Identity},
    network::Hostile,
    server::{self, RedisServer},
};

/// A server that speaks TLS on another port.
struct TlsServer {
    _server: RedisServer,
    port: u16,
    _files: TempDir,
}

impl TlsServer {
    /// `clients` is what `tls-auth-clients` is set to; those that `ca` vouches for are let in.
    fn start(identity: &Identity, ca: &Ca, clients: &str) -> Option<Self> {
        let files = TempDir::new().unwrap();
        let write = |name: &str, pem: &str| {
            let path = files.path().join(name);
            std::fs::write(&path, pem).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let chain = write("chain.pem", &identity.chain);
        let key = write("key.pem", &identity.key);
        let authority = write("authority.pem", &ca.pem());
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let server = server::start::<RedisServer>(&[
            ("tls-port", &port.to_string()),
            ("tls-cert-file", &chain),
            ("tls-key-file", &key),
            ("tls-ca-cert-file", &authority),
            ("tls-auth-clients", clients),
        ])?;
        Some(Self {
            _server: server,
            port,
            _files: files,
        })
    }

    fn connect(&self, host: &str, options: RedisOptions) -> Result<RedisStore, RedisConnectError> {
        RedisStore::connect(&format!("rediss://{host}:{}", self.port), options)
    }
}

fn trusting(ca: &Ca) -> RedisOptions {
    RedisOptions::new().root_certificate(ca.pem())
}

#[track_caller]
fn assert_fails(connected: Result<RedisStore, RedisConnectError>, label: &str, because: &str) {
    let error = connected.err().unwrap();
    assert_eq!(error.label(), label, "{error:?}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains(because), "{source}");
}

#[test]
fn everything_goes_over_tls() {
    let ca = Ca::new("friend");
    let identity = ca.identity(&["localhost", "127.0.0.1"]);
    let Some(server) = TlsServer::start(&identity, &ca, "no") else {
        return;
    };
    let secret = MasterSecret::generate().unwrap();
    let open = |host| {
        let store = server.connect(host, trusting(&ca)).unwrap();
        let builder = Authority::builder("https://issuer.test", "api");
        builder.master_secret(secret.clone()).open(store).unwrap()
    };
    // The name may stand for an address at which nobody listens, before that of the server.
    let one = open("localhost");
    let token = one.issue(Grant::user("u")).unwrap();
    // Larger than a record of TLS, both ways.
    let many = (0..2500).map(|number| Scope::user(format!("u-{number}")));
    one.bump_many(many).wait().unwrap();
    let other = open("127.0.0.1");
    assert_eq!(other.stats().epochs, 2500);
    other.verify(&token).unwrap();
    let epoch = one.bump(Scope::user("u")).wait().unwrap();
    other.wait_for(epoch).wait().unwrap();
    let refused = other.verify(&token).unwrap_err().label();
    // Another replica takes a bump for a log-in that it has not heard of, for a moment.
    assert!(["revoked", "stale_epochs"].contains(&refused), "{refused}");
}

#[test]
fn who_is_not_trusted_is_refused() {
    let (ca, stranger) = (Ca::new("friend"), Ca::new("stranger"));
    let identity = ca.identity(&["redis.test"]);
    let Some(server) = TlsServer::start(&identity, &ca, "no") else {
        return;
    };
    let wrong_name = server.connect("127.0.0.1", trusting(&ca));
    assert_fails(wrong_name, "unreachable", "not valid for name");
    let wrong_name = server.connect("localhost", trusting(&ca));
    assert_fails(wrong_name, "unreachable", "not valid for name");

    let identity = ca.identity(&["localhost"]);
    let Some(server) = TlsServer::start(&identity, &ca, "no") else {
        return;
    };
    server.connect("localhost", trusting(&ca)).unwrap();
    let unknown = server.connect("localhost", trusting(&stranger));
    assert_fails(unknown, "unreachable", "UnknownIssuer");
    // The system does not know it either, if it knows any.
    let unknown = server.connect("localhost", RedisOptions::new());
    let label = unknown.err().unwrap().label();
    assert!(
        ["unreachable", "invalid_certificate"].contains(&label),
        "{label}"
    );
}

#[test]
fn who_shows_no_good_certificate_is_not_let_in() {
    let (ca, stranger) = (Ca::new("friend"), Ca::new("stranger"));
    let identity = ca.identity(&["localhost"]);
    let Some(server) = TlsServer::start(&identity, &ca, "yes") else {
        return;
    };
    let showing = |shown: &Identity| {
        let options = trusting(&ca).client_certificate(shown.chain.clone(), shown.key.clone());
        server.connect("localhost", options)
    };
    let known = ca.identity(&["client"]);
    showing(&known).unwrap();
    let none = server.connect("localhost", trusting(&ca));
    assert_fails(none, "unreachable", "CertificateRequired");
    let unknown = showing(&stranger.identity(&["client"]));
    assert_eq!(unknown.err().unwrap().label(), "unreachable");

    let of_another = Identity {
        chain: known.chain,
        key: ca.identity(&["client"]).key,
    };
    assert_fails(showing(&of_another), "invalid_certificate", "KeyMismatch");
}

#[test]
fn what_is_no_certificate_is_said_before_anything_is_sent() {
    let connect = |options| RedisStore::connect("rediss://localhost:1", options);
    let empty = RedisOptions::new().root_certificate("");
    assert_fails(connect(empty), "invalid_certificate", "no certificate");
    let ca = Ca::new("friend");
    let keyless = trusting(&ca).client_certificate(ca.pem(), "");
    assert_eq!(
        connect(keyless).err().unwrap().label(),
        "invalid_certificate"
    );
    let secretive = trusting(&ca).client_certificate(ca.pem(), "the key");
    assert!(!format!("{secretive:?}").contains("the key"));
}

/// Or the name of the server would mean nothing.
#[test]
fn nobody_is_trusted_blindly() {
    for url in ["rediss://localhost:1/#insecure", "rediss://localhost:1#"] {
        let error = RedisStore::connect(url, RedisOptions::new()).err().unwrap();
        assert_eq!(error.label(), "invalid_url");
        assert!(error.to_string().contains("#insecure"), "{error}");
    }
}

#[test]
fn a_server_without_tls_is_waited_for_no_longer_than_was_said() {
    let ca = Ca::new("friend");
    let short = || trusting(&ca).connect_timeout(Duration::from_millis(50));
    let connect = |hostile: &Hostile| {
        let url = format!("rediss://localhost:{}", hostile.address().port());
        RedisStore::connect(&url, short())
    };
    let silent = Hostile::alone(b"").unwrap();
    assert_fails(connect(&silent), "unreachable", "timed out");
    let garbage = Hostile::alone(b"-ERR no\r\n").unwrap();
    assert_eq!(connect(&garbage).err().unwrap().label(), "unreachable");
}
