//! What may be forgotten, in steps: no commit waits for a whole table to be looked through.

use tokio_postgres::Row;

use super::{
    failure::Failure,
    row::{Fields, first, unsigned},
    server::{Connected, Server},
    step::Step,
    view::{Head, View, Wanted, leave},
    writing::finish,
};
use crate::store::{Answer, HistoryId, Outcome, Refusal, Tidy};

type Result<T> = std::result::Result<T, Failure>;

/// How many rows of a table one step looks at.
const ROWS_A_STEP: u64 = 1000;

/// Where a step goes on.
#[derive(Debug, Clone, Default)]
pub(super) struct Sweep {
    /// The last epoch's tag that was looked at.
    after: Vec<u8>,
    /// Up to which position the sweep forgets epochs; `None` before it has begun.
    up_to: Option<u64>,
}

/// Forgets some of what may be forgotten, and tells where to go on, if there is more.
pub(super) async fn step(
    server: &Server,
    connected: &Connected,
    tidy: &Tidy,
    sweep: &Sweep,
) -> Result<(Answer<Outcome>, Option<Sweep>)> {
    let wanted = Wanted {
        positions: [tidy.known.position].into(),
        ..Wanted::default()
    };
    let view = View::open(server, connected, &wanted).await?;
    let time = view.time;
    let step = begun(server, connected, tidy, sweep, &view).await;
    match step {
        Ok(None) => {
            leave(server, connected, false).await?;
            let value = Outcome::Refused(Refusal::Place);
            Ok((Answer { value, time }, None))
        }
        Ok(Some((head, next))) => {
            let value = Outcome::Done { head: head.place };
            Ok((Answer { value, time }, next))
        }
        Err(failure) => {
            leave(server, connected, failure.wants_other_connection()).await?;
            Err(failure)
        }
    }
}

/// `None` if the log is not a later state of what is known.
async fn begun(
    server: &Server,
    connected: &Connected,
    tidy: &Tidy,
    sweep: &Sweep,
    view: &View,
) -> Result<Option<(Head, Option<Sweep>)>> {
    let Some(head) = view.head_since(tidy.known)?.cloned() else {
        return Ok(None);
    };
    let sql = &server.sql;
    let history = head.place.history;
    let found = connected
        .connection
        .flight(&looks(server, tidy, sweep, &head))
        .await?;
    let oldest_key: Option<i64> = Fields::of(first(&found[0])?).get()?;
    let oldest_key = oldest_key.ok_or(Failure::Damaged("ring keys are missing"))?;
    let mut steps = Vec::new();
    let (last, is_more) = old_events(&found[1], tidy, &head)?;
    let mut is_more = is_more
        || found[3..=6]
            .iter()
            .any(|rows| rows.len() as u64 >= ROWS_A_STEP);
    if let Some(last) = last {
        steps.push(Step::new(&sql.remove_events).history(history).number(last));
    }
    let up_to = tidy.epochs_up_to.min(unsigned(oldest_key)?);
    let epochs = Epochs {
        up_to,
        head: &head,
        sweep,
    };
    let (epoch_steps, next) = epochs.forget(server, history, &found[2])?;
    steps.extend(epoch_steps);
    is_more |= next.is_some();
    // The rows that were removed already are to stay so.
    if steps.is_empty() {
        steps.push(
            Step::new(&sql.count_epochs)
                .number(head.epochs)
                .number(head.swept),
        );
    }
    finish(server, connected, steps, None).await?;
    Ok(Some((head, is_more.then(|| next.unwrap_or_default()))))
}

/// What shows what may go, and removes at once what needs no decision.
fn looks<'s>(server: &'s Server, tidy: &Tidy, sweep: &Sweep, head: &Head) -> [Step<'s>; 9] {
    let sql = &server.sql;
    let history = head.place.history;
    [
        Step::new(&sql.oldest_ring_key).history(history),
        Step::new(&sql.old_events)
            .history(history)
            .number(ROWS_A_STEP),
        Step::new(&sql.epochs_from)
            .history(history)
            .bytes(&sweep.after)
            .number(ROWS_A_STEP),
        Step::new(&sql.remove_expired)
            .number(tidy.sessions_before.as_unix_millis())
            .number(ROWS_A_STEP),
        Step::new(&sql.other_sessions)
            .bytes(&head.session_line)
            .number(ROWS_A_STEP),
        Step::new(&sql.other_epochs)
            .history(history)
            .number(ROWS_A_STEP),
        Step::new(&sql.other_events)
            .history(history)
            .number(ROWS_A_STEP),
        Step::new(&sql.other_ring_keys).history(history),
        Step::new(&sql.remove_receipts).number(tidy.receipts_before.as_unix_millis()),
    ]
}

/// The position of the last event that may go, and whether more may behind it.
fn old_events(rows: &[Row], tidy: &Tidy, head: &Head) -> Result<(Option<u64>, bool)> {
    let mut last = None;
    for row in rows {
        let mut fields = Fields::of(row);
        let (position, time) = (fields.number()?, fields.time()?);
        let may_go = position <= tidy.events_up_to
            && position < head.place.position
            && time < tidy.events_before;
        if !may_go {
            return Ok((last, false));
        }
        last = Some(position);
    }
    Ok((last, rows.len() as u64 >= ROWS_A_STEP))
}

/// The epochs that may go are found by walking over all, once for each position up to which
/// they may.
struct Epochs<'a> {
    up_to: u64,
    head: &'a Head,
    sweep: &'a Sweep,
}

impl Epochs<'_> {
    /// What to write, and where to go on.
    fn forget<'s>(
        &self,
        server: &'s Server,
        history: HistoryId,
        rows: &[Row],
    ) -> Result<(Vec<Step<'s>>, Option<Sweep>)> {
        // A sweep goes to its end with the position it began with: a higher one is for the next.
        let up_to = self.sweep.up_to.unwrap_or(self.up_to).min(self.up_to);
        if up_to <= self.head.swept {
            return Ok((Vec::new(), None));
        }
        let (mut gone, mut after) = (Vec::new(), Vec::new());
        for row in rows {
            let mut fields = Fields::of(row);
            let (tag, position) = (fields.bytes()?, fields.number()?);
            if position <= up_to {
                gone.push(tag.clone());
            }
            after = tag;
        }
        let is_over = (rows.len() as u64) < ROWS_A_STEP;
        let sql = &server.sql;
        let mut steps = Vec::new();
        if !gone.is_empty() {
            let step = Step::new(&sql.remove_epochs).history(history);
            steps.push(step.many_bytes(gone.iter().map(|tag| &tag[..])));
        }
        let epochs = self.head.epochs.saturating_sub(gone.len() as u64);
        let swept = if is_over { up_to } else { self.head.swept };
        steps.push(Step::new(&sql.count_epochs).number(epochs).number(swept));
        let up_to = Some(up_to);
        Ok((steps, (!is_over).then_some(Sweep { after, up_to })))
    }
}
