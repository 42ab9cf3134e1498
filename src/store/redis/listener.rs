//! The thread that hears of news, so that nobody asks in vain all the time.
//!
//! What it hears only wakes whoever waits, who then asks for himself: news that is missed here
//! comes late, and not never.

use std::{io, sync::Arc, thread, time::Duration};

use redis::cmd;

use super::{failure::Failure, link::Link, reply, server::Server};
use crate::store::announced::Announced;

/// How long the server waits for news before it answers that there is none.
const BLOCK: Duration = Duration::from_secs(1);

/// Starts the thread. It ends within the time that the server may take to answer.
pub(super) fn start(server: Arc<Server>, announced: Arc<Announced>) -> io::Result<()> {
    let thread = thread::Builder::new().name("epochkey-news".to_owned());
    thread.spawn(move || {
        let mut link = Link::new(server);
        // Behind what is known: what is older wakes nobody.
        while let Some(position) = announced.wait_until_known() {
            // A failure is told to those who ask for something themselves.
            if let Ok(Some(position)) = next(&mut link, position) {
                announced.reached_somewhere(position);
            }
        }
    })?;
    Ok(())
}

/// Waits for an entry of the log beyond this position. One is enough to wake who waits; he asks
/// for all there are, and the next question goes on behind them.
fn next(link: &mut Link, after: u64) -> Result<Option<u64>, Failure> {
    link.over_one(|server, connected| {
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(1);
        command.arg("BLOCK").arg(BLOCK.as_millis() as u64);
        command.arg("STREAMS").arg(server.keys.log());
        command.arg(format!("{after}-0"));
        Ok(reply::entry(connected.command(&command, BLOCK)?)?)
    })
}
