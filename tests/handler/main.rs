//! The example `handler`, over HTTP.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "../../examples/handler/app/mod.rs"]
mod app;
mod events;
mod service;
mod sessions;

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use axum::response::IntoResponse;
use epochkey::{
    Grant, IssueError, RefreshError, Scope, SessionError, StartError, VerifyError,
    testing::FaultyStore,
};
use serde_json::json;

use self::{
    app::{App, Credentials, Refusal},
    service::{Answer, Service, TIMEOUT, bearer},
};

const NO_TOKEN: (u16, Option<&str>) = (401, Some(r#"Bearer realm="api""#));
const INVALID_TOKEN: (u16, Option<&str>) = (401, Some(r#"Bearer error="invalid_token""#));

#[test]
fn a_log_in_gets_through() {
    let service = Service::start();
    let answer = service.try_log_in("ada", "engine");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 900);
    let me = service.get("/me", body["access_token"].as_str().unwrap());
    assert_eq!(me.status, 200);
    assert_eq!(me.json()["user"], "ada");
    assert_eq!(me.json()["groups"], json!(["groups-of:ada", "admin"]));
    assert_eq!(me.json()["session"].as_str().unwrap().len(), 22);
}

/// Nor can a client tell who exists.
#[test]
fn a_wrong_password_gets_no_token() {
    let service = Service::start();
    let wrong = service.try_log_in("ada", "builder");
    assert_eq!(wrong.refusal(), NO_TOKEN);
    assert!(!wrong.body.contains("ada"));
    assert_eq!(service.try_log_in("nobody", "builder"), wrong);
    assert_eq!(service.try_log_in("", ""), wrong);
}

#[test]
fn without_a_token_nothing_is_reached() {
    let service = Service::start();
    let routes = [
        ("GET", "/me"),
        ("GET", "/events"),
        ("POST", "/password"),
        ("POST", "/logout"),
        ("GET", "/sessions"),
        ("DELETE", "/sessions/x"),
        ("DELETE", "/admin/users/bob/groups/admin"),
        ("POST", "/admin/users/bob/revoke"),
        ("POST", "/admin/swap-key"),
    ];
    for (method, path) in routes {
        let answer = service.send(method, path, &[], None);
        assert_eq!(answer.refusal(), NO_TOKEN, "{path}");
        let answer = service.send(method, path, &["Bearer x"], None);
        assert_eq!(answer.refusal(), INVALID_TOKEN, "{path}");
    }
    let other_schemes = ["Basic YWRhOmVuZ2luZQ==", "Bearertoken", "Bear er", ""];
    for authorization in other_schemes {
        let answer = service.send("GET", "/me", &[authorization], None);
        assert_eq!(answer.refusal(), NO_TOKEN, "{authorization}");
    }
}

#[test]
fn a_scheme_is_read_in_any_case_and_only_one_is_taken() {
    let service = Service::start();
    let token = service.bob();
    for scheme in ["Bearer ", "bearer ", "BEARER ", "Bearer   "] {
        let authorization = format!("{scheme}{token}");
        let answer = service.send("GET", "/me", &[&authorization], None);
        assert_eq!(answer.status, 200, "{scheme}");
    }
    let good = bearer(&token);
    for second in [&good, "Bearer x", "Basic x", ""] {
        let invalid_request = (400, Some(r#"Bearer error="invalid_request""#));
        for both in [[&good, second], [second, &good]] {
            let answer = service.send("GET", "/me", &both, None);
            assert_eq!(answer.refusal(), invalid_request, "{second}");
        }
    }
}

/// A client, or a thief, learns that a token is no good and not why.
#[test]
fn all_bad_tokens_look_alike() {
    let service = Service::start();
    let garbage = service.get("/me", "garbage");
    assert_eq!(garbage.refusal(), INVALID_TOKEN);
    let refused = |token: &str, cause: &str| {
        let error = service.authority.verify(token).unwrap_err();
        assert_eq!(error.label(), cause);
        assert_eq!(service.get("/me", token), garbage, "{cause}");
    };

    refused("", "malformed");
    let token = service.bob();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    refused(
        &format!("{signed}.{other}{}", &signature[1..]),
        "bad_signature",
    );
    let elsewhere = epochkey::testing::authority().unwrap();
    let foreign = elsewhere.issue(Grant::user("bob")).unwrap();
    refused(foreign.as_str(), "unknown_key");

    assert!(service.lets_in(&token));
    let admin = service.ada();
    let revoked = service.post("/admin/users/bob/revoke", &admin);
    assert_eq!(revoked.status, 204);
    refused(&token, "revoked");
    let again = service.bob();
    assert!(service.lets_in(&again) && service.lets_in(&admin));
    service.clock.advance(Duration::from_secs(900));
    refused(&again, "expired");
}

#[test]
fn only_an_admin_revokes() {
    let service = Service::start();
    let (ada, bob) = (service.ada(), service.bob());
    for path in ["/admin/users/ada/revoke", "/admin/swap-key"] {
        let answer = service.post(path, &bob);
        let forbidden = (403, Some(r#"Bearer error="insufficient_scope""#));
        assert_eq!(answer.refusal(), forbidden, "{path}");
    }
    assert!(service.lets_in(&ada) && service.lets_in(&bob));
    for invalid in ["a%22b", "a%0Ab", &"x".repeat(256)] {
        let answer = service.post(&format!("/admin/users/{invalid}/revoke"), &ada);
        assert_eq!(answer.refusal(), (400, None), "{invalid}");
    }
}

#[test]
fn a_swap_ends_every_token() {
    let service = Service::start();
    let (ada, bob) = (service.ada(), service.bob());
    assert_eq!(service.post("/admin/swap-key", &ada).status, 204);
    for token in [&ada, &bob] {
        assert_eq!(service.get("/me", token).refusal(), INVALID_TOKEN);
    }
    assert!(service.lets_in(&service.ada()) && service.lets_in(&service.bob()));
}

#[test]
fn a_log_out_ends_its_own_session_only() {
    let service = Service::start();
    let (phone, laptop, ada) = (service.bob(), service.bob(), service.ada());
    assert_eq!(service.post("/logout", &phone).status, 204);
    assert_eq!(service.get("/me", &phone).refusal(), INVALID_TOKEN);
    assert!(service.lets_in(&laptop) && service.lets_in(&ada));

    let grant = Grant::user("bob").authenticated_now();
    let without_session = service.authority.issue(grant).unwrap();
    let answer = service.post("/logout", without_session.as_str());
    assert_eq!(answer.refusal(), (400, None));
}

fn change_password(service: &Service, token: &str, new: &str) -> Answer {
    let change = json!({"new_password": new});
    service.send("POST", "/password", &[&bearer(token)], Some(change))
}

#[test]
fn a_new_password_wants_a_recent_log_in_and_ends_all_sessions() {
    let service = Service::start();
    let laptop = service.bob();
    service.clock.advance(Duration::from_secs(301));
    let answer = change_password(&service, &laptop, "fixer");
    let log_in_again = r#"Bearer error="insufficient_user_authentication", max_age="300""#;
    assert_eq!(answer.refusal(), (401, Some(log_in_again)));
    assert!(service.lets_in(&laptop));

    let phone = service.bob();
    service.clock.advance(Duration::from_secs(300));
    assert_eq!(change_password(&service, &phone, "fixer").status, 204);
    for token in [&phone, &laptop] {
        assert_eq!(service.get("/me", token).refusal(), INVALID_TOKEN);
    }
    assert_eq!(service.try_log_in("bob", "builder").status, 401);
    assert!(service.lets_in(&service.log_in("bob", "fixer")));
    assert!(service.lets_in(&service.ada()));
}

/// A thief who sends the body slowly has no more time than others.
#[test]
fn a_token_revoked_while_the_body_comes_changes_no_password() {
    let service = Service::start();
    let token = service.bob();
    let body = json!({"new_password": "mine"}).to_string();
    let mut connection = TcpStream::connect(service.address).unwrap();
    connection.set_read_timeout(Some(TIMEOUT)).unwrap();
    write!(
        connection,
        "POST /password HTTP/1.1\r\nhost: api\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\nexpect: 100-continue\r\n\r\n",
        body.len(),
    )
    .unwrap();
    // Sent once the handler asks for the body: the token was verified by then.
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut answer = vec![0; go_on.len()];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(answer, go_on);
    service.authority.bump(Scope::user("bob")).wait().unwrap();
    connection.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    service.bob();
}

/// The password was right when it was read, and changed before the token was made.
#[test]
fn a_log_in_overtaken_by_a_bump_gets_no_token() {
    let authority = epochkey::testing::authority().unwrap();
    let app = App::new(authority.clone());
    let given = Credentials {
        user: "ada".to_owned(),
        password: "engine".to_owned(),
    };
    let log_in = |mark| {
        let started = app.start_session(&given, "a device", mark).unwrap();
        started.wait().map_err(Refusal::from)
    };
    let mark = authority.mark();
    assert!(log_in(mark).is_ok());
    authority.bump(Scope::user("ada")).wait().unwrap();
    assert_eq!(log_in(mark).unwrap_err(), Refusal::TryAgain);
    assert!(log_in(authority.mark()).is_ok());
    assert_eq!(authority.sessions().list("ada").wait().unwrap().len(), 1);
}

#[test]
fn what_a_retry_may_mend_is_a_503() {
    let scope = Scope::user("ada");
    let refusals = [
        Refusal::from(VerifyError::StaleEpochs),
        Refusal::from(IssueError::StaleEpochs),
        Refusal::from(IssueError::OutdatedMark),
        Refusal::from(IssueError::BumpedSinceMark { scope }),
        Refusal::from(StartError::StaleEpochs),
        Refusal::from(StartError::BumpedMeanwhile),
        Refusal::from(RefreshError::StaleEpochs),
        Refusal::from(RefreshError::TryAgain),
        Refusal::from(RefreshError::TooManyReplays),
        Refusal::from(SessionError::StaleEpochs),
        Refusal::from(SessionError::TryAgain),
    ];
    for refusal in refusals {
        let response = refusal.into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "1");
        assert!(!response.headers().contains_key("www-authenticate"));
    }
}

/// Cut off from its store, the service refuses everything until it has fresh news again.
#[test]
fn without_fresh_news_everything_is_a_503() {
    let mut link = None;
    let service = Service::start_on(|clock| {
        let store = FaultyStore::new(clock.clone());
        link.insert(store).clone()
    });
    let link = link.unwrap();
    let device = service.log_in_on("phone");
    let token = device.access.clone();
    assert!(service.lets_in(&token));
    link.cut();
    service.clock.advance(Duration::from_secs(11));
    for answer in [
        service.get("/me", &token),
        service.try_log_in("bob", "builder"),
        service.refresh(&device.refresh),
    ] {
        assert_eq!(answer.status, 503);
        assert_eq!(answer.cookie(), None, "the client keeps what it has");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("www-authenticate"), None);
    }
    link.mend();
    while service.get("/me", &token).status == 503 {
        thread::yield_now();
    }
    assert!(service.lets_in(&token));
    assert!(service.lets_in(&service.refresh(&device.refresh).device().access));
}
