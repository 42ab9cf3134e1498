//! Refreshing, and the list of sessions.

use std::time::Duration;

use epochkey::SessionId;
use serde_json::{Value, json};

use crate::{
    INVALID_TOKEN, NO_TOKEN,
    service::{Answer, Device, Service, bearer},
};

const GRACE: Duration = Duration::from_secs(10);

#[track_caller]
fn assert_logged_out(answer: &Answer) {
    assert_eq!(answer.refusal(), NO_TOKEN);
    let cookie = answer.cookie().unwrap();
    assert_eq!((cookie.name(), cookie.value()), ("refresh", ""));
    assert_eq!(cookie.path(), Some("/refresh"));
    assert!(cookie.max_age().unwrap().is_zero());
}

fn list(service: &Service, device: &Device) -> Vec<Value> {
    let answer = service.get("/sessions", &device.access);
    assert_eq!(answer.status, 200);
    answer.json().as_array().unwrap().clone()
}

fn delete(service: &Service, path: &str, token: &str) -> Answer {
    service.send("DELETE", path, &[&bearer(token)], None)
}

#[test]
fn the_refresh_token_is_in_a_cookie_that_no_script_reads() {
    let service = Service::start();
    let answer = service.try_log_in("bob", "builder");
    let cookie = answer.cookie().unwrap();
    assert_eq!(cookie.http_only(), Some(true));
    assert_eq!(cookie.secure(), Some(true));
    assert_eq!(cookie.same_site().unwrap().to_string(), "Strict");
    assert_eq!(cookie.path(), Some("/refresh"));
    assert_eq!(cookie.domain(), None);
    assert!(cookie.value().starts_with("ekr1."));
    assert!(!answer.body.contains("ekr1."));
}

#[test]
fn a_refresh_gives_a_new_pair_and_the_old_access_token_stays_good() {
    let service = Service::start();
    let first = service.log_in_on("phone");
    service.clock.advance(Duration::from_secs(600));
    let answer = service.refresh(&first.refresh);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let second = answer.device();
    assert_ne!(second.access, first.access);
    assert_ne!(second.refresh, first.refresh);
    assert!(service.lets_in(&first.access) && service.lets_in(&second.access));

    service.clock.advance(Duration::from_secs(300));
    assert_eq!(service.get("/me", &first.access).refusal(), INVALID_TOKEN);
    assert!(service.lets_in(&second.access));
}

/// Two tabs, or a response that was lost.
#[test]
fn the_same_token_again_a_moment_later_gives_the_same_successor() {
    let service = Service::start();
    let first = service.log_in_on("phone");
    let second = service.refresh(&first.refresh).device();
    let again = service.refresh(&first.refresh).device();
    assert_eq!(again.refresh, second.refresh);
    assert!(service.lets_in(&again.access) && service.lets_in(&second.access));
}

#[test]
fn a_reused_token_ends_its_session_only() {
    let service = Service::start();
    let (phone, laptop) = (service.log_in_on("phone"), service.log_in_on("laptop"));
    let newest = service.refresh(&phone.refresh).device();
    service.clock.advance(GRACE);
    let reused = service.refresh(&phone.refresh);
    assert_logged_out(&reused);
    for access in [&phone.access, &newest.access] {
        assert_eq!(service.get("/me", access).refusal(), INVALID_TOKEN);
    }
    // Whoever holds the newest one learns no more.
    assert_eq!(service.refresh(&newest.refresh).refusal(), reused.refusal());
    assert!(service.lets_in(&laptop.access));
    assert!(service.lets_in(&service.refresh(&laptop.refresh).device().access));
}

#[test]
fn without_a_good_refresh_token_nothing_is_given() {
    let service = Service::start();
    let device = service.log_in_on("phone");
    let forged = device.refresh.replacen(".0.", ".1.", 1);
    for cookie in ["", "x", &device.access, &forged] {
        assert_logged_out(&service.refresh(cookie));
    }
    assert_logged_out(&service.send("POST", "/refresh", &[], None));
    assert!(service.lets_in(&service.refresh(&device.refresh).device().access));
}

#[test]
fn a_user_sees_where_they_are_logged_in() {
    let service = Service::start();
    let phone = service.log_in_on("phone");
    service.clock.advance(Duration::from_secs(60));
    let long_name = "x".repeat(2000);
    let laptop = service.log_in_on(&long_name);
    let _of_somebody_else = service.ada();
    service.clock.advance(Duration::from_secs(60));
    let phone = service.refresh(&phone.refresh).device();

    let sessions = list(&service, &phone);
    let shown = |name: &str| -> Vec<_> {
        let values = sessions.iter().map(|session| session[name].clone());
        values.collect()
    };
    assert_eq!(shown("label"), [json!("phone"), json!("x".repeat(200))]);
    assert_eq!(shown("current"), [true, false]);
    let (begun, minute) = (1_700_000_000, 60);
    assert_eq!(shown("created_at"), [begun, begun + minute]);
    assert_eq!(shown("last_used_at"), [begun + 2 * minute, begun + minute]);
    let me = service.get("/me", &laptop.access).json();
    assert_eq!(sessions[1]["id"], me["session"]);
}

#[test]
fn a_session_that_is_ended_is_dead_at_once() {
    let service = Service::start();
    let (phone, laptop) = (service.log_in_on("phone"), service.log_in_on("laptop"));
    let sessions = list(&service, &phone);
    let other = sessions.iter().find(|session| session["current"] == false);
    let id = other.unwrap()["id"].as_str().unwrap();
    let path = format!("/sessions/{id}");
    assert_eq!(delete(&service, &path, &phone.access).status, 204);
    assert_eq!(service.get("/me", &laptop.access).refusal(), INVALID_TOKEN);
    assert_logged_out(&service.refresh(&laptop.refresh));
    assert_eq!(list(&service, &phone).len(), 1);
    assert_eq!(delete(&service, &path, &phone.access).status, 404);
}

/// Nor does anybody learn that it exists.
#[test]
fn nobody_ends_the_session_of_another() {
    let service = Service::start();
    let (bob, ada) = (service.log_in_on("phone"), service.ada());
    let of_bob = list(&service, &bob)[0]["id"].as_str().unwrap().to_owned();
    let none = SessionId::generate().unwrap().to_string();
    let [refused, unknown] =
        [of_bob, none].map(|id| delete(&service, &format!("/sessions/{id}"), &ada));
    assert_eq!(refused.status, 404);
    assert_eq!(refused, unknown);
    assert!(service.lets_in(&bob.access));
}

#[test]
fn a_log_out_ends_the_refresh_token_too() {
    let service = Service::start();
    let device = service.log_in_on("phone");
    let answer = service.post("/logout", &device.access);
    assert_eq!(answer.status, 204);
    assert_eq!(answer.cookie().unwrap().value(), "");
    assert_eq!(answer.cookie().unwrap().path(), Some("/refresh"));
    assert_logged_out(&service.refresh(&device.refresh));
}

#[test]
fn a_role_that_is_taken_away_is_gone_at_once_and_the_session_goes_on() {
    let service = Service::start();
    let answer = service.try_log_in("ada", "engine");
    let (ada, bob) = (answer.device(), service.bob());
    let path = "/admin/users/ada/groups/admin";
    assert_eq!(delete(&service, path, &bob).status, 403);
    assert_eq!(delete(&service, path, &ada.access).status, 204);
    assert_eq!(service.get("/me", &ada.access).refusal(), INVALID_TOKEN);

    let next = service.refresh(&ada.refresh).device();
    let me = service.get("/me", &next.access).json();
    assert_eq!(me["groups"], json!(["groups-of:ada"]));
    assert_eq!(delete(&service, path, &next.access).status, 403);
    assert!(service.lets_in(&bob));
}

#[test]
fn after_a_swap_clients_refresh_and_carry_on() {
    let service = Service::start();
    let device = service.log_in_on("phone");
    assert_eq!(service.post("/admin/swap-key", &service.ada()).status, 204);
    assert!(!service.lets_in(&device.access));
    assert!(service.lets_in(&service.refresh(&device.refresh).device().access));
}
