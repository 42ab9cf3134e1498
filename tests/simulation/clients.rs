//! Devices that are logged in, honest or not.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, UNIX_EPOCH},
};

use epochkey::{Grant, TokenPair, store::RowId, testing::expose_secrets};

use super::{
    Checked,
    logins::{Answer, Asked, Login, Running, Sealed, parse},
    operation::{Kills, Running as Change},
    proofs::Proven,
    rows::{scope_of, session_of},
    token::Minted,
    world::World,
    wrong,
};

/// So many sessions a user may have.
pub(crate) const MOST_SESSIONS: usize = 2;
/// More than a replica gives for one rotation.
const MANY_REPLAYS: usize = 104;

pub(crate) struct Client {
    pub(crate) user: String,
    pub(crate) session: RowId,
    /// All refresh tokens it ever had: a thief may have any of them.
    tokens: Vec<String>,
    /// Whether it showed one of them far too often.
    hammered: bool,
    pub(crate) proven: Proven,
}

impl World {
    /// A client asks a replica for something.
    pub(crate) fn serve_a_client(&mut self, index: usize) -> Checked {
        let number = self.random.below(self.clients.len().max(1));
        match self.random.below(26) {
            _ if self.clients.is_empty() => self.log_in(index),
            0..5 => self.log_in(index),
            5..14 => self.refresh(index, number, 0),
            14..18 => self.refresh(index, number, 1),
            18 => {
                let back = 2 + self.random.below(3);
                self.refresh(index, number, back);
            }
            19 if self.random.chance(40) => self.hammer(index, number)?,
            23 if self.plan.losses && self.plan.holds => self.refresh_over_a_loss(index, number)?,
            20 => {
                let scope = scope_of(self.clients[number].session);
                self.begin(
                    index,
                    &format!("end {scope:?}"),
                    std::slice::from_ref(&scope),
                    |authority| {
                        let op = authority.bump(scope.clone());
                        (Change::Bump(op), Kills::WithOneOf(vec![scope.clone()]))
                    },
                );
            }
            21 => self.end_others(index, number),
            22 => self.list(index)?,
            24..26 => self.prove(index, number),
            19 => self.forge(index)?,
            _ => {
                self.clients.swap_remove(number);
            }
        }
        match self.random.chance(70) {
            true => self.follow(index),
            false => Ok(()),
        }
    }

    fn log_in(&mut self, index: usize) {
        let (user, _, groups) = self.scopes_to_be();
        self.interpose(index);
        let replica = &self.replicas[index];
        let asked = Asked::of(replica, user, None, &self.ledger.lock());
        replica.notes.seen.lock().user = Some(user.to_owned());
        let grant = Grant::user(user).groups(groups);
        let op = replica.authority.sessions().start(grant, "a device");
        let op = Running::Start(op);
        replica.notes.seen.lock().user = None;
        let parts = (&replica.authority, &replica.notes);
        let login = Login::new(replica.process, parts, op, asked);
        let step = format!("log in {user} at {}", replica.process);
        self.logins.push(login);
        self.note(step);
        self.end_interlude(index);
    }

    /// Refreshes with the newest token of a client, or with one of before.
    fn refresh(&mut self, index: usize, number: usize, back: usize) {
        let answer = self.some_answer();
        self.interpose(index);
        let client = &self.clients[number];
        let (replica, newest) = (&self.replicas[index], client.tokens.len() - 1);
        let token = client.tokens[newest.saturating_sub(back)].clone();
        let (id, counter) = parse(&token);
        let step = format!(
            "refresh {id} at counter {counter}, at {}, and grant {answer:?}",
            replica.process
        );
        let login = replica.refresh(client, &token, answer);
        self.logins.push(login);
        self.note(step);
        self.end_interlude(index);
    }

    fn some_answer(&mut self) -> Answer {
        match self.random.below(20) {
            0 => Answer::Nothing,
            1..6 => {
                let (.., groups) = self.scopes_to_be();
                Answer::Groups(groups)
            }
            _ => Answer::Silent,
        }
    }

    /// A client that hears no answer asks again and again, with the token before.
    fn hammer(&mut self, index: usize, number: usize) -> Checked {
        let session = self.clients[number].session;
        self.refresh(index, number, 0);
        self.follow(index)?;
        self.check_logins()?;
        let mut clients = self.clients.iter_mut();
        let client = clients.find(|client| client.session == session);
        let Some((client, replica)) = client.zip(self.replicas.get(index)) else {
            return Ok(());
        };
        let [.., before, _] = &client.tokens[..] else {
            return Ok(());
        };
        client.hammered = true;
        for _ in 0..MANY_REPLAYS {
            drop(replica.authority.sessions().refresh(before));
        }
        let step = format!("hammer with {:?} at {}", parse(before), replica.process);
        self.note(step);
        self.refresh(index, number, 1);
        Ok(())
    }

    /// A refresh is on its way while the store loses the one before, and another comes.
    fn refresh_over_a_loss(&mut self, index: usize, number: usize) -> Checked {
        let other = self.random.below(self.replicas.len());
        if other == index {
            return Ok(());
        }
        self.refresh(index, number, 0);
        self.follow(index)?;
        self.check_logins()?;
        self.replicas[index].connection.hold_commits();
        self.refresh(index, number, 0);
        self.lose_commits(1);
        self.observe(other)?;
        self.refresh(other, number, 1);
        self.ledger.lock().check_rows()?;
        self.replicas[index].connection.release();
        Ok(())
    }

    fn end_others(&mut self, index: usize, number: usize) {
        let client = &self.clients[number];
        let replica = &self.replicas[index];
        replica.notes.seen.lock().user = Some(client.user.clone());
        let (session, id) = (client.session, session_of(client.session));
        let step = format!("end the others of {id} at {}", replica.process);
        let ledger = self.ledger.lock();
        let mut others = ledger.sessions_of(&client.user);
        others.retain(|row| *row != client.session);
        drop(ledger);
        let scopes: Vec<_> = others.into_iter().map(scope_of).collect();
        self.begin(index, &step, &[], |authority| {
            let op = authority.sessions().end_others(&id);
            (Change::EndOthers(op, session), Kills::WithOneOf(scopes))
        });
        self.replicas[index].notes.seen.lock().user = None;
    }

    /// Asks which sessions a user has. An answer is given at once, if at all.
    fn list(&mut self, index: usize) -> Checked {
        let (user, ..) = self.scopes_to_be();
        let replica = &self.replicas[index];
        replica.notes.seen.lock().user = Some(user.to_owned());
        let op = pin!(replica.authority.sessions().list(user));
        let answer = op.poll(&mut Context::from_waker(Waker::noop()));
        replica.notes.seen.lock().user = None;
        let Poll::Ready(Ok(list)) = answer else {
            return Ok(());
        };
        let mut listed: Vec<_> = list
            .iter()
            .map(|session| session.id().to_string())
            .collect();
        listed.sort_unstable();
        let kept = self.ledger.lock().sessions_of(user);
        let mut kept: Vec<_> = kept.into_iter().map(|row| row.to_string()).collect();
        kept.sort_unstable();
        // One that does not know of a new history lists that of the old one: nothing.
        match listed == kept || !replica.is_quiet() {
            true => Ok(()),
            false => wrong(
                "a user's sessions are listed",
                format!("{listed:?}, not {kept:?}"),
            ),
        }
    }

    /// A thief of a signing key makes a token of one that was sealed under another key.
    fn forge(&mut self, index: usize) -> Checked {
        if self.tokens.is_empty() {
            return Ok(());
        }
        let (replica, token) = (&self.replicas[index], self.random.pick(&self.tokens));
        let stolen = expose_secrets(&replica.authority).ring_keys;
        let Some(key) = stolen.iter().find(|key| key.kid != token.key) else {
            return Ok(());
        };
        let forged = token.forged(key, replica.seconds());
        match replica.authority.verify(forged) {
            Err(_) => Ok(()),
            Ok(verified) => wrong(
                "a signing key mints nothing for whom no seal was seen under it",
                format!("{verified:?} at replica {}", replica.process),
            ),
        }
    }

    /// Looks at log-ins and refreshes that may have finished.
    pub(crate) fn check_logins(&mut self) -> Checked {
        for mut login in std::mem::take(&mut self.logins) {
            let mut replicas = self.replicas.iter();
            let replica = replicas.position(|replica| replica.process == login.process);
            // Nobody hears of what a process had begun that is gone.
            let Some(index) = replica else { continue };
            match login.outcome(&self.replicas[index]) {
                None => self.logins.push(login),
                Some((Ok(pair), sealed)) => self.take_pair(index, login.asked(), pair, sealed)?,
                Some((Err(label), _)) => self.take_refusal(index, login.asked(), label)?,
            }
        }
        Ok(())
    }

    fn take_refusal(&mut self, index: usize, asked: &Asked, label: &'static str) -> Checked {
        let session = asked.shown.map(|(session, _)| session);
        let mut clients = self.clients.iter();
        let client = clients.find(|client| Some(client.session) == session);
        let hammered = client.is_none_or(|client| client.hammered);
        if label == "store" && self.server_is_wrong {
            return Ok(());
        }
        let ledger = self.ledger.lock();
        asked.check_refusal(label, hammered, &self.replicas[index], &ledger)?;
        drop(ledger);
        self.note(format!("{} is refused: {label}", asked.user));
        Ok(())
    }

    fn take_pair(
        &mut self,
        index: usize,
        asked: &Asked,
        pair: TokenPair,
        sealed: Sealed,
    ) -> Checked {
        let replica = &self.replicas[index];
        // What it had applied long ago is not known any more.
        let Some(sealed_at) = replica.event_of(sealed.mark) else {
            return Ok(());
        };
        let ledger = self.ledger.lock();
        asked.check_pair(&pair, (sealed_at, sealed), replica, &ledger)?;
        let (id, counter) = parse(pair.refresh.as_str());
        let scopes = asked.scopes(&pair);
        let issued = (sealed.at, sealed.is_truly_fresh);
        let token = Minted::new(pair.access, scopes, sealed_at, &ledger, issued).of_session(id);
        drop(ledger);
        if pair.session.expires_at() < UNIX_EPOCH + Duration::from_secs(token.expires_at) {
            let how = format!("until {} of {id}", token.expires_at);
            return wrong("no access token outlives its session", how);
        }
        self.note(format!("{id} is at counter {counter}"));
        self.check_proven(&pair.session, &token, asked.told)?;
        self.tokens.push(token);
        let proven = Proven::new(&pair.session);
        self.keep(id, counter, &asked.user, pair.refresh.into_string(), proven);
        self.check_number(&asked.user)?;
        self.verify(index, self.tokens.len() - 1)
    }

    fn keep(&mut self, session: RowId, counter: u64, user: &str, token: String, proven: Proven) {
        let known = self
            .clients
            .iter_mut()
            .find(|client| client.session == session);
        match known {
            Some(client) if client.tokens.len() as u64 == counter => {
                client.tokens.push(token);
            }
            Some(_) => {}
            None if counter == 0 => self.clients.push(Client {
                user: user.to_owned(),
                session,
                tokens: vec![token],
                hammered: false,
                proven,
            }),
            None => {}
        }
    }

    fn check_number(&self, user: &str) -> Checked {
        let sessions = self.ledger.lock().sessions_of(user).len();
        match sessions <= MOST_SESSIONS {
            true => Ok(()),
            false => wrong(
                "a user has only so many sessions",
                format!("{sessions} of {user}"),
            ),
        }
    }
}
