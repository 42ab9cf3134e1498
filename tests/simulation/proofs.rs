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
    rows::{row_of, session_of},
    world::World,
    wrong,
};

/// A user proves it again, and the session is told.
pub(crate) struct Proof {
    process: u64,
    session: RowId,
    op: Op<Session, SessionError>,
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
        wrong("tokens say when the user proved who they are", how)
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
        let proof = Proof {
            process: replica.process,
            session: client.session,
            op: replica.authority.sessions().reauthenticated(&id),
        };
        let step = format!("prove again who uses {id}, at {}", replica.process);
        self.proofs.push(proof);
        self.note(step);
        self.end_interlude(index);
    }

    /// Looks at those that may have finished.
    pub(crate) fn check_proofs(&mut self) -> Checked {
        let (mut under_way, mut told) = (Vec::new(), Vec::new());
        for mut proof in std::mem::take(&mut self.proofs) {
            match Pin::new(&mut proof.op).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => under_way.push(proof),
                Poll::Ready(Ok(session)) => told.push((proof, says(&session))),
                Poll::Ready(Err(_)) => {}
            }
        }
        let alive = |process| self.replicas.iter().any(|it| it.process == process);
        under_way.retain(|proof: &Proof| alive(proof.process));
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

    /// What the session of a pair says, asked for when that had been told.
    pub(crate) fn check_proven(
        &mut self,
        session: &Session,
        told: Option<(u64, usize)>,
    ) -> Checked {
        let row = row_of(session.id().as_str());
        self.check_past(row, says(session))?;
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
