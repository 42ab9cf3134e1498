//! When users proved who they are, and what their tokens say of it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::UNIX_EPOCH,
};

use epochkey::{Op, Session, SessionError, store::RowId};

use super::{
    Checked, SKEW,
    ledger::Ledger,
    operation::DONE,
    rows::{row_of, session_of},
    token::Minted,
    world::World,
    wrong,
};

const RULE: &str = "tokens say when the user proved who they are";

/// A user proves it again, and the session is told.
pub(crate) struct Proof {
    process: u64,
    session: RowId,
    op: Op<Session, SessionError>,
    /// How often the log had been broken off when it began, if nothing has stood in its way.
    in_quiet: Option<usize>,
}

/// What a session may say.
#[derive(Default)]
pub(crate) struct Proven {
    /// What it has said: when it began, and after it was told.
    said: Vec<u64>,
    /// When it was told something and nobody knows what came of it. In seconds by the server's
    /// clock, as all times here.
    perhaps_since: Option<u64>,
    /// The latest it was told, and how often the store had lost something by then.
    told: Option<(u64, usize)>,
}

fn losses(ledger: &Ledger) -> usize {
    ledger.sessions.losses + ledger.breaks()
}

fn says(session: &Session) -> u64 {
    let since = session.authenticated_at().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Proven {
    /// Of a session that begins.
    pub(crate) fn new(session: &Session) -> Self {
        Self {
            said: vec![says(session)],
            ..Self::default()
        }
    }

    /// What a refresh must show that is asked for now, unless the store loses something.
    pub(crate) fn told(&self) -> Option<(u64, usize)> {
        self.told
    }

    /// Whether a pair may say this, asked for when that had been told.
    fn check(&mut self, session: &Session, told: Option<(u64, usize)>, ledger: &Ledger) -> Checked {
        let said = says(session);
        let slack = SKEW.as_secs() + 1;
        let shows = |(told, before)| said + slack >= told || before != losses(ledger);
        let may_be = |since| said + slack >= since;
        let is_known = self.said.contains(&said);
        if told.is_none_or(shows) && (is_known || self.perhaps_since.is_some_and(may_be)) {
            self.said.push(said);
            return Ok(());
        }
        let how = format!(
            "{} says {said}, was told {told:?}, said {:?}, perhaps since {:?}",
            session.id(),
            self.said,
            self.perhaps_since,
        );
        wrong(RULE, how)
    }
}

impl Proof {
    /// It fails only if something stood in its way, or if the session is gone.
    fn check_failure(&self, error: &SessionError, ledger: &Ledger) -> Checked {
        let is_gone = matches!(error, SessionError::Ended) && ledger.may_be_gone(self.session);
        match self.in_quiet == Some(losses(ledger)) && !is_gone {
            true => wrong(
                DONE,
                format!("{error} to who proved it, at replica {}", self.process),
            ),
            false => Ok(()),
        }
    }
}

impl World {
    /// A client's user types the password again.
    pub(crate) fn prove(&mut self, index: usize, number: usize) {
        self.interpose(index);
        let (now, client) = (self.seconds(), &mut self.clients[number]);
        let replica = &self.replicas[index];
        let id = session_of(client.session);
        // Only what is told when it has finished is known.
        client.proven.perhaps_since.get_or_insert(now);
        let op = replica.authority.sessions().reauthenticated(&id);
        let ledger = self.ledger.lock();
        let is_quiet = replica.is_quiet() && ledger.keeps(replica.applied);
        let proof = Proof {
            process: replica.process,
            session: client.session,
            op,
            in_quiet: is_quiet.then(|| losses(&ledger)),
        };
        drop(ledger);
        let step = format!("prove again who uses {id}, at {}", replica.process);
        self.proofs.push(proof);
        self.note(step);
        self.end_interlude(index);
    }

    /// Looks at those that may have finished.
    pub(crate) fn check_proofs(&mut self) -> Checked {
        let (mut under_way, mut told) = (Vec::new(), Vec::new());
        for mut proof in std::mem::take(&mut self.proofs) {
            let mut replicas = self.replicas.iter();
            let Some(replica) = replicas.find(|it| it.process == proof.process) else {
                continue;
            };
            if !replica.is_quiet() || self.server_was_wrong {
                proof.in_quiet = None;
            }
            match Pin::new(&mut proof.op).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => under_way.push(proof),
                Poll::Ready(Ok(session)) => told.push((proof, says(&session))),
                Poll::Ready(Err(error)) => proof.check_failure(&error, &self.ledger.lock())?,
            }
        }
        self.proofs = under_way;
        for (proof, said) in told {
            self.check_past(proof.session, said)?;
            let mut clients = self.clients.iter_mut();
            if let Some(client) = clients.find(|client| client.session == proof.session) {
                client.proven.said.push(said);
                let latest = client.proven.told.map_or(said, |(told, _)| told.max(said));
                client.proven.told = Some((latest, losses(&self.ledger.lock())));
            }
        }
        Ok(())
    }

    /// What the session of a pair and its token say, asked for when that had been told.
    pub(crate) fn check_proven(
        &mut self,
        session: &Session,
        token: &Minted,
        told: Option<(u64, usize)>,
    ) -> Checked {
        let (row, said) = (row_of(session.id().as_str()), says(session));
        self.check_past(row, said)?;
        // Not after the clock where it was issued.
        if token.authenticated_at != Some(said.min(token.issued_at)) {
            let how = format!("{:?}, its session {said}", token.authenticated_at);
            return wrong(RULE, how);
        }
        let mut clients = self.clients.iter_mut();
        let client = clients.find(|client| client.session == row);
        client.map_or(Ok(()), |client| {
            client.proven.check(session, told, &self.ledger.lock())
        })
    }

    fn check_past(&self, session: RowId, said: u64) -> Checked {
        let now = self.seconds();
        match said <= now || self.server_was_wrong {
            true => Ok(()),
            false => wrong(
                "nobody proves who they are in the future",
                format!("{} at {now} says {said}", session_of(session)),
            ),
        }
    }
}
