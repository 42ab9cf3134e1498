//! The thread that hears of news, so that nobody asks in vain all the time.
//!
//! What it hears only wakes whoever waits, who then asks for himself: news that is missed here
//! comes late, and not never.

use std::{io, sync::Arc, thread, time::Duration};

use super::{
    failure::Failure,
    link::Link,
    server::{Connected, Server},
    sql::quoted,
    step::Step,
};
use crate::store::{HistoryId, announced::Announced};
use crate::token::base64url;

/// How long it waits for a word before it looks whether the server is there still.
const SILENCE: Duration = Duration::from_secs(5);
/// How long it waits after a failure.
const PAUSE: Duration = Duration::from_millis(50);
/// How long it waits at once: it ends within this time.
const WAIT: Duration = Duration::from_millis(500);

/// Starts the thread. It ends within the time that the server may take to answer.
pub(super) fn start(server: Arc<Server>, announced: Arc<Announced>) -> io::Result<()> {
    let mut link = Link::new(server)?;
    let thread = thread::Builder::new().name("epochkey-news".to_owned());
    thread.spawn(move || {
        while !announced.is_stopped() {
            let heard =
                link.ask(async |server, connected| listen(server, connected, &announced).await);
            // It is told to those who ask for something themselves.
            if heard.is_err() {
                thread::sleep(PAUSE);
            }
        }
    })?;
    Ok(())
}

/// Listens until nobody waits any more or the connection is of no use.
async fn listen(
    server: &Server,
    connected: &Connected,
    announced: &Announced,
) -> Result<(), Failure> {
    if connected.connection.is_pooled() {
        // It would be another who hears it.
        connected.connection.notifications(WAIT).await;
        return Ok(());
    }
    let listen = format!("LISTEN {}", quoted(server.schema()));
    connected
        .connection
        .flight(&[Step::script(&listen)])
        .await?;
    // What was told before is missed, and so may be what follows.
    announced.wake();
    let mut silent = Duration::ZERO;
    while !announced.is_stopped() {
        let Some(words) = connected.connection.notifications(WAIT).await else {
            return Err(Failure::TimedOut);
        };
        silent = if words.is_empty() {
            silent + WAIT
        } else {
            Duration::ZERO
        };
        for word in words {
            if let Some((history, position)) = parse(word.payload()) {
                announced.reached(history, position);
            }
        }
        if silent >= SILENCE {
            let check = Step::new(&server.sql.listen_check);
            connected.connection.flight(&[check]).await?;
            silent = Duration::ZERO;
        }
    }
    Ok(())
}

/// A history and a position in it. Anybody can send anything on a channel.
fn parse(payload: &str) -> Option<(HistoryId, u64)> {
    let (history, position) = payload.split_once(' ')?;
    let mut bytes = [0; 16];
    base64url::decode_exact(history.as_bytes(), &mut bytes)?;
    Some((HistoryId::from_bytes(bytes), position.parse().ok()?))
}
