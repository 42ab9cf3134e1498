//! TLS: who is trusted, and who is let in.

use std::{error::Error, time::Duration};

use epochkey::{
    Authority, Grant, MasterSecret, PostgresConnectError, PostgresOptions, PostgresStore, Scope,
};

use crate::{
    certificates::{Ca, Identity},
    hand::patient,
    network::Hostile,
    server::{self, PostgresServer, Server},
};

/// Who may enter: the fixture as it likes, and `app` over TLS only, with its password.
const WITH_PASSWORD: &str = "host all postgres 127.0.0.1/32 trust\n\
    hostssl all app 127.0.0.1/32 scram-sha-256\n";
/// As above, and only with a certificate.
const WITH_CERTIFICATE: &str = "host all postgres 127.0.0.1/32 trust\n\
    hostssl all app 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";

/// A server that speaks TLS, and lets `app` in.
struct TlsServer(PostgresServer);

impl TlsServer {
    fn start(identity: &Identity, ca: &Ca, entering: &str) -> Option<Self> {
        // Says so where it is not installed.
        server::installed::<PostgresServer>()?;
        let settings = [
            ("ssl", "on"),
            ("ssl_cert_file", "chain.pem"),
            ("ssl_key_file", "key.pem"),
            ("ssl_ca_file", "authority.pem"),
            ("password_encryption", "scram-sha-256"),
        ];
        let files = [
            ("chain.pem", &*identity.chain),
            ("key.pem", &*identity.key),
            ("authority.pem", &*ca.pem()),
            ("pg_hba.conf", entering),
        ];
        let server = PostgresServer::with_files(&settings, &files).unwrap();
        let role = "CREATE ROLE app LOGIN PASSWORD 'secret-word';
            GRANT CREATE ON DATABASE postgres TO app;";
        server.execute(role).unwrap();
        Some(Self(server))
    }

    fn connect(
        &self,
        host: &str,
        parameters: &str,
        options: PostgresOptions,
    ) -> Result<PostgresStore, PostgresConnectError> {
        let port = self.0.port();
        let url = format!("postgres://app:secret-word@{host}:{port}/postgres?{parameters}");
        PostgresStore::connect(&url, options)
    }

    /// With TLS.
    fn enter(
        &self,
        host: &str,
        options: PostgresOptions,
    ) -> Result<PostgresStore, PostgresConnectError> {
        self.connect(host, "sslmode=require", options)
    }
}

fn trusting(ca: &Ca) -> PostgresOptions {
    patient().root_certificate(ca.pem())
}

#[track_caller]
fn assert_fails(
    connected: Result<PostgresStore, PostgresConnectError>,
    label: &str,
    because: &str,
) {
    let error = connected.err().unwrap();
    assert_eq!(error.label(), label, "{error:?}");
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        said += &format!(": {error}");
        source = error.source();
    }
    assert!(said.contains(because), "{said}");
    assert!(
        !format!("{said}{error:?}").contains("secret-word"),
        "{said}"
    );
}

#[test]
fn everything_goes_over_tls() {
    let ca = Ca::new("friend");
    let identity = ca.identity(&["localhost", "127.0.0.1"]);
    let Some(server) = TlsServer::start(&identity, &ca, WITH_PASSWORD) else {
        return;
    };
    let secret = MasterSecret::generate().unwrap();
    let open = |host| {
        let store = server.enter(host, trusting(&ca)).unwrap();
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
    let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE usename = 'app' AND NOT ssl";
    assert_eq!(server.0.value(plain).unwrap(), "0");
    let encrypted = plain.replace("NOT ssl", "ssl");
    assert_ne!(server.0.value(&encrypted).unwrap(), "0");
}

#[test]
fn who_is_not_trusted_is_refused() {
    let (ca, stranger) = (Ca::new("friend"), Ca::new("stranger"));
    let identity = ca.identity(&["postgres.test"]);
    let Some(server) = TlsServer::start(&identity, &ca, WITH_PASSWORD) else {
        return;
    };
    let wrong_name = server.enter("127.0.0.1", trusting(&ca));
    assert_fails(wrong_name, "unreachable", "not valid for name");
    let wrong_name = server.enter("localhost", trusting(&ca));
    assert_fails(wrong_name, "unreachable", "not valid for name");
    // The name is of the one who is meant, whatever the address.
    let parameters = "sslmode=require&hostaddr=127.0.0.1";
    let named = server.connect("postgres.test", parameters, trusting(&ca));
    named.unwrap();

    let identity = ca.identity(&["localhost"]);
    let Some(server) = TlsServer::start(&identity, &ca, WITH_PASSWORD) else {
        return;
    };
    server.enter("localhost", trusting(&ca)).unwrap();
    let unknown = server.enter("localhost", trusting(&stranger));
    assert_fails(unknown, "unreachable", "UnknownIssuer");
    // The system does not know it either, if it knows any.
    let unknown = server.enter("localhost", PostgresOptions::new());
    let label = unknown.err().unwrap().label();
    assert!(
        ["unreachable", "invalid_certificate"].contains(&label),
        "{label}"
    );
}

#[test]
fn what_has_expired_is_not_trusted() {
    let ca = Ca::new("friend");
    let identity = ca.identity_until(&["localhost"], 2001);
    let Some(server) = TlsServer::start(&identity, &ca, WITH_PASSWORD) else {
        return;
    };
    let expired = server.enter("localhost", trusting(&ca));
    assert_fails(expired, "unreachable", "expired");
}

#[test]
fn who_shows_no_good_certificate_is_not_let_in() {
    let (ca, stranger) = (Ca::new("friend"), Ca::new("stranger"));
    let identity = ca.identity(&["localhost"]);
    let Some(server) = TlsServer::start(&identity, &ca, WITH_CERTIFICATE) else {
        return;
    };
    let showing = |shown: &Identity| {
        let options = trusting(&ca).client_certificate(shown.chain.clone(), shown.key.clone());
        server.enter("localhost", options)
    };
    let known = ca.identity(&["client"]);
    showing(&known).unwrap();
    let none = server.enter("localhost", trusting(&ca));
    assert_fails(none, "refused", "valid client certificate");
    let unknown = showing(&stranger.identity(&["client"]));
    assert_eq!(unknown.err().unwrap().label(), "unreachable");
    let expired = showing(&ca.identity_until(&["client"], 2001));
    assert_eq!(expired.err().unwrap().label(), "unreachable");

    let of_another = Identity {
        chain: known.chain,
        key: ca.identity(&["client"]).key,
    };
    assert_fails(showing(&of_another), "invalid_certificate", "KeyMismatch");
}

/// One who is between, with a certificate of his own, could not pass the proof on.
#[test]
fn the_password_is_proven_to_the_owner_of_the_certificate() {
    let ca = Ca::new("friend");
    let identity = ca.identity(&["localhost"]);
    let Some(server) = TlsServer::start(&identity, &ca, WITH_PASSWORD) else {
        return;
    };
    let required = "sslmode=require&channel_binding=require";
    let bound = server.connect("localhost", required, trusting(&ca));
    bound.unwrap();
    let unbound = "sslmode=require&channel_binding=disable";
    let unbound = server.connect("localhost", unbound, trusting(&ca));
    unbound.unwrap();
    // There is no certificate to bind to.
    let plain = "sslmode=disable&channel_binding=require";
    let plain = server.connect("localhost", plain, trusting(&ca));
    assert!(["refused", "unreachable"].contains(&plain.err().unwrap().label()));
    let wrong = PostgresStore::connect(
        &format!(
            "postgres://app:wrong@localhost:{}/postgres?{required}",
            server.0.port()
        ),
        trusting(&ca),
    );
    assert_fails(wrong, "refused", "password authentication failed");
}

#[test]
fn neither_side_does_without_tls_where_the_other_wants_it() {
    let ca = Ca::new("friend");
    let identity = ca.identity(&["localhost"]);
    let Some(server) = TlsServer::start(&identity, &ca, WITH_PASSWORD) else {
        return;
    };
    // By default nothing is encrypted, also where it could be.
    for parameters in ["", "sslmode=disable", "sslmode=prefer"] {
        let plain = server.connect("127.0.0.1", parameters, trusting(&ca));
        assert_fails(plain, "refused", "no encryption");
    }
    let Some(plain) = server::postgres() else {
        return;
    };
    let url = format!("{}?sslmode=require", plain.url());
    let connected = PostgresStore::connect(&url, trusting(&ca));
    assert_fails(connected, "unreachable", "does not support TLS");
}

#[test]
fn what_is_no_certificate_is_said_before_anything_is_sent() {
    let url = "postgres://app@localhost:1/postgres?sslmode=require";
    let connect = |options| PostgresStore::connect(url, options);
    let empty = PostgresOptions::new().root_certificate("");
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

/// What would check less than it seems to is not taken for what checks more.
#[test]
fn nobody_is_trusted_blindly() {
    for mode in ["allow", "verify-ca", "verify-full", "no-verify", "Require"] {
        let url = format!("postgres://app@localhost:1/postgres?sslmode={mode}");
        let error = PostgresStore::connect(&url, PostgresOptions::new()).err();
        assert_eq!(error.unwrap().label(), "invalid_url", "{mode}");
    }
}

#[test]
fn a_server_without_tls_is_waited_for_no_longer_than_was_said() {
    let ca = Ca::new("friend");
    let short = || trusting(&ca).connect_timeout(Duration::from_millis(50));
    let connect = |hostile: &Hostile| {
        let port = hostile.address().port();
        let url = format!("postgres://app@127.0.0.1:{port}/postgres?sslmode=require");
        PostgresStore::connect(&url, short())
    };
    for silent in [&b""[..], b"S"] {
        let silent = Hostile::alone(silent).unwrap();
        assert_fails(connect(&silent), "unreachable", "timed out");
    }
    for other in [&b"N"[..], b"-ERR no\r\n", b"S\x15\x03\x03\0\x02\x02\x28"] {
        let other = Hostile::alone(other).unwrap();
        assert_eq!(connect(&other).err().unwrap().label(), "unreachable");
    }
}
