//! What each client holds.

use crate::{Checked, line::Said};

const CLIENTS: usize = 6;

pub(crate) struct Clients(pub(crate) Vec<Client>);

#[derive(Default)]
pub(crate) struct Client {
    /// What it was given last, and what it showed for it.
    pub(crate) held: Option<Held>,
    pub(crate) shown: Option<String>,
    /// What it was doing, by what it has said last.
    doing: Option<Said>,
    /// Whether a refresh was under way when a process was killed, and it was not asked again.
    pub(crate) was_refreshing: bool,
    /// Whether a log-out was under way when a process was killed.
    pub(crate) may_be_out: bool,
    /// How many log-ins were, whose tokens nobody has.
    pub(crate) lost_log_ins: usize,
    /// What it held when it logged out.
    pub(crate) ended: Vec<Held>,
}

#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) refresh: String,
    pub(crate) access: String,
}

impl Default for Clients {
    fn default() -> Self {
        Self((0..CLIENTS).map(|_| Client::default()).collect())
    }
}

/// Each is a user of their own.
pub(crate) fn user(client: usize) -> String {
    format!("client-{client}")
}

pub(crate) fn counter(token: &str) -> u64 {
    token.split('.').nth(2).unwrap().parse().unwrap()
}

impl Clients {
    pub(crate) fn tokens(&self) -> Vec<Option<String>> {
        let held = self.0.iter().map(|client| client.held.as_ref());
        held.map(|held| held.map(|held| held.refresh.clone()))
            .collect()
    }

    pub(crate) fn hear(&mut self, client: usize, said: Said) -> Checked {
        let client = &mut self.0[client];
        match &said {
            Said::LoggingIn | Said::Refreshing | Said::LoggingOut => {
                client.doing = Some(said);
                return Ok(());
            }
            Said::Got { refresh, access } => {
                let held = Held {
                    refresh: refresh.clone(),
                    access: access.clone(),
                };
                client.got(held)?;
            }
            Said::NotRefreshed(label) if label == "ended" && client.may_be_out => client.is_out(),
            Said::NotRefreshed(label) => return Err(format!("not refreshed: {label}")),
            Said::LoggedOut => client.is_out(),
        }
        client.doing = None;
        Ok(())
    }

    /// Gives how many were at something.
    pub(crate) fn hear_the_end(&mut self) -> usize {
        let mut open = 0;
        for client in &mut self.0 {
            let doing = client.doing.take();
            open += usize::from(doing.is_some());
            client.was_refreshing |= matches!(doing, Some(Said::Refreshing));
            client.may_be_out |= matches!(doing, Some(Said::LoggingOut));
            client.lost_log_ins += usize::from(matches!(doing, Some(Said::LoggingIn)));
        }
        open
    }
}

impl Client {
    /// The next in its chain, whatever was lost on the way.
    pub(crate) fn got(&mut self, held: Held) -> Checked {
        let before = self.held.replace(held.clone());
        let expected = before.as_ref().map_or(0, |it| counter(&it.refresh) + 1);
        self.shown = before.map(|it| it.refresh);
        // The session is there, and nobody tries to end it any more.
        (self.may_be_out, self.was_refreshing) = (false, false);
        match counter(&held.refresh) == expected {
            true => Ok(()),
            false => Err(format!("forked: {} after {:?}", held.refresh, self.shown)),
        }
    }

    pub(crate) fn is_out(&mut self) {
        self.ended.extend(self.held.take());
        (self.shown, self.may_be_out, self.was_refreshing) = (None, false, false);
    }
}
