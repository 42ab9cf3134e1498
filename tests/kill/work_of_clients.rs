//! Clients that log in, refresh and log out, each on one thread.

use epochkey::{Authority, Grant, SessionId, TokenPair};

use crate::{
    clients::user,
    line::{Assignment, Line, Said},
    random::Random,
};

pub(crate) struct ClientWork<'a> {
    authority: &'a Authority,
    clients: Vec<Client>,
}

struct Client {
    number: usize,
    token: Option<String>,
}

impl<'a> ClientWork<'a> {
    pub(crate) fn new(authority: &'a Authority, assignment: &Assignment, thread: usize) -> Self {
        let clients = assignment.clients.iter().enumerate();
        let own = clients.filter(|(number, _)| number % assignment.threads == thread);
        Self {
            authority,
            clients: own
                .map(|(number, token)| Client {
                    number,
                    token: token.clone(),
                })
                .collect(),
        }
    }

    pub(crate) fn act(&mut self, random: &mut Random) {
        let chosen = random.below(self.clients.len());
        let client = &mut self.clients[chosen];
        let sessions = self.authority.sessions();
        match client.token.clone() {
            None => {
                client.say(Said::LoggingIn);
                let grant = Grant::user(user(client.number));
                client.got(&sessions.start(grant, "a device").wait().unwrap());
            }
            Some(token) if random.chance(4) => {
                client.say(Said::LoggingOut);
                let id: SessionId = token.split('.').nth(1).unwrap().parse().unwrap();
                sessions.end(&id).wait().unwrap();
                client.token = None;
                client.say(Said::LoggedOut);
            }
            Some(token) => {
                client.say(Said::Refreshing);
                match sessions.refresh(&token).wait() {
                    Ok(pair) => client.got(&pair),
                    Err(error) => {
                        client.token = None;
                        client.say(Said::NotRefreshed(error.label().to_owned()));
                    }
                }
            }
        }
    }
}

impl Client {
    fn say(&self, said: Said) {
        let client = self.number;
        Line::Client { client, said }.say();
    }

    fn got(&mut self, pair: &TokenPair) {
        let refresh = pair.refresh.as_str().to_owned();
        self.token = Some(refresh.clone());
        let access = pair.access.as_str().to_owned();
        self.say(Said::Got { refresh, access });
    }
}
