//! Streams, which outlive the request that opened them.

use std::{
    io::{BufRead, BufReader},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use crate::service::{Service, TIMEOUT, bearer};

/// The events of a stream, read on a thread of its own. The channel closes at the end.
fn listen(service: &Service, token: &str) -> Receiver<String> {
    let response = service.open("GET", "/events", &[&bearer(token)], None);
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let (sender, events) = channel();
    thread::spawn(move || {
        for line in BufReader::new(response.into_body().into_reader()).lines() {
            let line = line.unwrap_or_else(|error| format!("cut off: {error}"));
            if !line.is_empty() && sender.send(line).is_err() {
                return;
            }
        }
    });
    events
}

/// Drops what has come so far, and waits for more.
#[track_caller]
fn assert_goes_on(events: &Receiver<String>) {
    let _so_far = events.try_iter().count();
    for _ in 0..2 {
        assert_eq!(events.recv_timeout(TIMEOUT).unwrap(), "data: still in");
    }
}

/// In good order, and before it has sent events for ten seconds.
#[track_caller]
fn assert_ends(events: &Receiver<String>) {
    for _ in 0..40 {
        match events.recv_timeout(TIMEOUT) {
            Ok(event) => assert_eq!(event, "data: still in"),
            Err(error) => return assert_eq!(error, RecvTimeoutError::Disconnected),
        }
    }
    panic!("the stream goes on");
}

#[test]
fn a_bump_ends_the_streams_of_its_scope_only() {
    let service = Service::start();
    let (ada, phone, laptop) = (service.ada(), service.bob(), service.bob());
    let [of_ada, of_phone, of_laptop] =
        [&ada, &phone, &laptop].map(|token| listen(&service, token));
    [&of_ada, &of_phone, &of_laptop]
        .into_iter()
        .for_each(assert_goes_on);

    assert_eq!(service.post("/logout", &phone).status, 204);
    assert_ends(&of_phone);
    [&of_ada, &of_laptop].into_iter().for_each(assert_goes_on);

    let answer = service.post("/admin/users/bob/revoke", &ada);
    assert_eq!(answer.status, 204);
    assert_ends(&of_laptop);
    assert_goes_on(&of_ada);
}

#[test]
fn a_swap_and_the_end_of_the_lifetime_end_streams() {
    let service = Service::start();
    let token = service.ada();
    let events = listen(&service, &token);
    assert_goes_on(&events);
    assert_eq!(service.post("/admin/swap-key", &token).status, 204);
    assert_ends(&events);

    let events = listen(&service, &service.bob());
    assert_goes_on(&events);
    service.clock.advance(Duration::from_secs(900));
    assert_ends(&events);
}
