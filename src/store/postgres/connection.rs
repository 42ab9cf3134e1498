//! A connection: statements go out together and rows come in, within bounds of time and memory.
//!
//! Nothing that the other end does is waited for beyond a deadline, or kept beyond a limit.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_util::TryStreamExt;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::{
    AsyncMessage, Client, Notification, Row, RowStream,
    types::{ToSql, Type},
};

use super::{
    budget::Budget,
    endpoint::{Endpoint, Reached},
    failure::Failure,
    options::PostgresOptions,
    prepared::{Naming, Prepared},
    server::Server,
    step::Step,
};
use crate::error::PostgresConnectCause as Cause;

/// How many bytes the answers to one flight may have together: ten thousand sessions of one user,
/// or several times the largest page of events.
const MOST: usize = 32 * 1024 * 1024;
/// How many those may have by which a connection begins, certificates included.
const MOST_AT_FIRST: usize = 256 * 1024;
/// The part of the server that waits for a synchronous standby. It warns when somebody ends its
/// wait; other warnings, as of a log that grows, have nothing to do with us.
const WAITS_FOR_STANDBY: &str = "SyncRepWaitForLSN";
/// What a value of a row costs besides its bytes.
const VALUE: usize = 24;

/// A connection to a server, for one flight of statements after the other.
pub(super) struct Connection {
    client: Client,
    prepared: Prepared,
    heard: Arc<Heard>,
    carrier: JoinHandle<()>,
    budget: Budget,
    timeout: Duration,
}

/// What goes over the wire for a step.
enum Said<'s> {
    Plain(&'s Step<'s>),
    Execute(String),
}

/// What the server says without being asked.
#[derive(Default)]
struct Heard {
    warning: Mutex<Option<String>>,
    notifications: Mutex<Vec<Notification>>,
    notified: Notify,
    has_ended: AtomicBool,
}

/// The most notifications that are kept until somebody looks: what they say is the same.
const MOST_NOTIFICATIONS: usize = 64;

impl Connection {
    /// Connects to one of the hosts and logs in. To be called, as all of this, on a runtime of
    /// this thread's own.
    pub(super) async fn open(
        endpoint: &Endpoint,
        host: usize,
        options: &PostgresOptions,
        naming: Naming,
    ) -> Result<Self, Cause> {
        let budget = Budget::new(MOST_AT_FIRST);
        let reached = endpoint
            .reach(host, options.connect_timeout, &budget)
            .await?;
        let heard = Arc::new(Heard::default());
        let (client, carrier) = match reached {
            Reached::Plain(client, connection) => {
                (client, tokio::spawn(carry(*connection, Arc::clone(&heard))))
            }
            #[cfg(feature = "postgres-tls")]
            Reached::Tls(client, connection) => {
                (client, tokio::spawn(carry(*connection, Arc::clone(&heard))))
            }
        };
        Ok(Self {
            client,
            prepared: Prepared::new(naming),
            heard,
            carrier,
            budget,
            timeout: options.response_timeout,
        })
    }

    /// Sends statements together, and reads all their answers. If one fails, the first failure
    /// counts: within a transaction, all behind it fail for its sake.
    pub(super) async fn flight(&self, steps: &[Step<'_>]) -> Result<Vec<Vec<Row>>, Failure> {
        self.each(steps).await?.into_iter().collect()
    }

    /// As [`flight`](Self::flight), with each statement's own answer.
    pub(super) async fn each(
        &self,
        steps: &[Step<'_>],
    ) -> Result<Vec<Result<Vec<Row>, Failure>>, Failure> {
        let said = |step| match self.prepared.execute(step) {
            Some(execute) => Said::Execute(execute),
            None => Said::Plain(step),
        };
        let said: Vec<_> = steps.iter().map(said).collect();
        self.budget.set(MOST);
        self.budget.expect(said.len());
        let answers = timeout(self.timeout, self.all(&said)).await;
        let answers = answers.map_err(|_| Failure::TimedOut)?;
        let failures = answers.iter().filter_map(|answer| answer.as_ref().err());
        failures.for_each(|failure| self.prepared.look_at(failure));
        match answers.iter().find_map(broken) {
            // Nobody can tell what was done.
            Some(failure) => Err(failure),
            None => Ok(answers),
        }
    }

    /// Has the server keep what is said again and again. The tables must be there.
    pub(super) async fn prepare(&self, server: &Server) -> Result<(), Failure> {
        if let Some(script) = self.prepared.script(&server.sql) {
            // Names in them are looked up when they are read, too.
            let begin = Step::script(&server.scripts.begin_reading);
            let commit = Step::script(&server.scripts.commit);
            match self.flight(&[begin, Step::script(&script), commit]).await {
                Ok(_) => self.prepared.done(),
                // Somebody between: then without.
                Err(failure) if failure.is_known_statement() => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Whether somebody between hands out the server's connections.
    pub(super) fn is_pooled(&self) -> bool {
        self.prepared.is_pooled()
    }

    /// Sends them in their order, and waits for all.
    async fn all(&self, said: &[Said<'_>]) -> Vec<Result<Vec<Row>, Failure>> {
        let mut asked: Vec<_> = said.iter().map(|said| Box::pin(self.ask(said))).collect();
        let mut answers: Vec<_> = said.iter().map(|_| None).collect();
        poll_fn(|context| {
            for (asked, answer) in asked.iter_mut().zip(&mut answers) {
                if answer.is_none()
                    && let Poll::Ready(ready) = asked.as_mut().poll(context)
                {
                    *answer = Some(ready);
                }
            }
            match answers.iter().all(Option::is_some) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        answers.into_iter().flatten().collect()
    }

    async fn ask(&self, said: &Said<'_>) -> Result<Vec<Row>, Failure> {
        let rows = match said {
            Said::Plain(step) if step.is_script => {
                self.client.batch_execute(step.sql).await?;
                return Ok(Vec::new());
            }
            Said::Plain(step) => self.client.query_typed_raw(step.sql, step.typed()).await?,
            Said::Execute(execute) => {
                let nothing = Vec::<(&(dyn ToSql + Sync), Type)>::new();
                self.client.query_typed_raw(execute, nothing).await?
            }
        };
        let (mut rows, mut kept) = (pin!(rows), Vec::new());
        while let Some(row) = rows.try_next().await? {
            let cost = row.len().saturating_mul(VALUE);
            self.budget.take(cost).map_err(|_| Failure::Unreadable)?;
            kept.push(row);
        }
        Ok(kept)
    }

    /// The rows one by one as they come, however many. To be waited for within
    /// [`timeout`](Self::timeout), and [kept going](Self::go_on).
    pub(super) async fn rows(&self, step: &Step<'_>) -> Result<RowStream, Failure> {
        self.budget.set(MOST);
        self.budget.expect(1);
        Ok(self.client.query_typed_raw(step.sql, step.typed()).await?)
    }

    /// What came so far is not kept: as much may come again.
    pub(super) fn go_on(&self) {
        self.budget.set(MOST);
    }

    /// Whether it is time for another connection.
    pub(super) fn is_worn(&self) -> bool {
        self.budget.is_worn()
    }

    /// Whether the server has committed something since it was last asked.
    pub(super) fn take_committed(&self) -> bool {
        self.budget.take_committed()
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What the server has doubts about since it was last asked for them.
    pub(super) fn take_warning(&self) -> Option<String> {
        self.heard.warning.lock().take()
    }

    /// What the server tells of without being asked; waits for it at most so long. `None` if the
    /// connection has ended.
    pub(super) async fn notifications(&self, wait: Duration) -> Option<Vec<Notification>> {
        self.budget.set(MOST);
        let heard = std::mem::take(&mut *self.heard.notifications.lock());
        if !heard.is_empty() {
            return Some(heard);
        }
        if self.heard.has_ended.load(Ordering::SeqCst) {
            return None;
        }
        let _ = timeout(wait, self.heard.notified.notified()).await;
        Some(std::mem::take(&mut *self.heard.notifications.lock()))
    }
}

/// The server is left to itself: what it does it may do to the end.
impl Drop for Connection {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

/// The failure, if it is one of the connection.
fn broken(answer: &Result<Vec<Row>, Failure>) -> Option<Failure> {
    let failure = answer.as_ref().err()?;
    failure.is_broken().then(|| failure.clone())
}

/// Carries questions and answers until the connection ends.
async fn carry<S, T>(mut connection: tokio_postgres::Connection<S, T>, heard: Arc<Heard>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            AsyncMessage::Notice(notice) if notice.routine() == Some(WAITS_FOR_STANDBY) => {
                *heard.warning.lock() = Some(notice.to_string());
            }
            AsyncMessage::Notification(notification) => {
                let mut kept = heard.notifications.lock();
                if kept.len() < MOST_NOTIFICATIONS {
                    kept.push(notification);
                }
                heard.notified.notify_one();
            }
            _ => {}
        }
    }
    heard.has_ended.store(true, Ordering::SeqCst);
    heard.notified.notify_one();
}
