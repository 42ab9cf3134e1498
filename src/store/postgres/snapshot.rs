//! Reading a snapshot: one transaction that sees one state, in which the epochs come row by row,
//! so that they need no memory here nor there.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use tokio::time::timeout;
use tokio_postgres::Row;

use super::{
    connection::Connection,
    failure::Failure,
    row::{self, Fields, first},
    server::{Connected, Server},
    step::Step,
};
use crate::store::{Answer, HistoryId, Place, Snapshot, StoredEpoch, StoredKey};

type Result<T> = std::result::Result<T, Failure>;

/// How many epochs are handed on at once.
const PAGE: usize = 4096;
/// How much longer than other answers one may take, for each epoch in it.
const FOR_EACH_EPOCH: Duration = Duration::from_micros(100);

/// Gives `None` if there is nothing. `page` says whether anybody takes more.
pub(super) async fn read(
    server: &Server,
    connected: &Connected,
    page: &dyn Fn(Vec<StoredEpoch>) -> bool,
) -> Result<Answer<Option<Snapshot>>> {
    let sql = &server.sql;
    let opening = [
        Step::script(&server.scripts.begin_snapshot),
        Step::new(&sql.whole_head),
        Step::new(&sql.ring_keys),
    ];
    let answers = match connected.connection.flight(&opening).await {
        Ok(answers) => answers,
        Err(failure) => {
            let is_lost = failure.wants_other_connection();
            super::view::leave(server, connected, is_lost).await?;
            return Err(failure);
        }
    };
    // What was given by then may be of another state than what another attempt would find.
    let answer = read_rest(server, connected, &answers, page).await;
    let answer = answer.map_err(Failure::at_last);
    let is_lost = answer.as_ref().is_err_and(Failure::wants_other_connection);
    let left = super::view::leave(server, connected, is_lost).await;
    left.map_err(Failure::at_last)?;
    answer
}

async fn read_rest(
    server: &Server,
    connected: &Connected,
    answers: &[Vec<Row>],
    page: &dyn Fn(Vec<StoredEpoch>) -> bool,
) -> Result<Answer<Option<Snapshot>>> {
    let mut fields = Fields::of(first(&answers[1])?);
    let time = fields.heading()?;
    let Some(head) = fields.place_if_any()? else {
        return Ok(Answer { value: None, time });
    };
    let (predecessors, secrets) = (fields.histories()?, fields.bytes()?);
    let (ring_keys, epochs) = (fields.number()?, fields.number()?);
    let keys: Vec<StoredKey> = answers[2]
        .iter()
        .map(row::ring_key)
        .collect::<Result<_>>()?;
    if keys.len() as u64 != ring_keys {
        return Err(Failure::Damaged("ring keys are missing"));
    }
    let floor = keys.first().map_or(0, |key| key.position);
    let view = View {
        head,
        floor,
        epochs,
    };
    view.read_epochs(server, connected, page).await?;
    let value = Some(Snapshot {
        head,
        predecessors,
        secrets,
        keys,
    });
    Ok(Answer { value, time })
}

/// What the epochs have to fit to.
struct View {
    head: Place,
    floor: u64,
    epochs: u64,
}

impl View {
    async fn read_epochs(
        &self,
        server: &Server,
        connected: &Connected,
        page: &dyn Fn(Vec<StoredEpoch>) -> bool,
    ) -> Result<()> {
        let connection = &connected.connection;
        let begun = Instant::now();
        let history: HistoryId = self.head.history;
        let step = Step::once(&server.scripts.epochs).history(history);
        let rows = in_time(connection, begun, 0, connection.rows(&step)).await??;
        let mut rows = pin!(rows);
        let (mut seen, mut next) = (0, Vec::with_capacity(PAGE));
        while let Some(row) = in_time(connection, begun, seen, rows.try_next()).await?? {
            let epoch = row::epoch(&row)?;
            seen += 1;
            if epoch.position > self.head.position {
                return Err(Failure::Damaged("an epoch is above the log's head"));
            }
            if seen > self.epochs {
                return Err(Failure::Damaged("more epochs than are counted"));
            }
            if epoch.position > self.floor {
                next.push(epoch);
            }
            if seen % PAGE as u64 == 0 {
                connection.go_on();
            }
            if next.len() == PAGE && !page(std::mem::replace(&mut next, Vec::with_capacity(PAGE))) {
                return Err(Failure::Unreadable);
            }
        }
        page(next);
        match seen == self.epochs {
            true => Ok(()),
            false => Err(Failure::Damaged("epochs are missing")),
        }
    }
}

/// Waits as long as is right when so many epochs have come. How many are announced says nothing:
/// nobody waits for a day because of a number.
async fn in_time<T>(
    connection: &Connection,
    begun: Instant,
    seen: u64,
    answer: impl Future<Output = T>,
) -> Result<T> {
    let longer = FOR_EACH_EPOCH.saturating_mul(u32::try_from(seen).unwrap_or(u32::MAX));
    let limit = connection.timeout().saturating_add(longer);
    let left = limit.saturating_sub(begun.elapsed());
    timeout(left, answer).await.map_err(|_| Failure::TimedOut)
}
