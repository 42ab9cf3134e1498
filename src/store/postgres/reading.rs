//! What is asked and changes nothing, but for receipts.

use std::time::{Duration, Instant};

use tokio_postgres::Row;

use super::{
    failure::Failure,
    row::{self, Fields, State, first},
    server::{Connected, Server},
    step::Step,
};
use crate::store::{
    Answer, Event, EventId, Heartbeat, HistoryId, News, Place, Receipt, Rows, SessionQuery,
    SessionRow, Standing,
};

type Result<T> = std::result::Result<T, Failure>;

/// How long the receipts that follow a durable one need not be so. Of a replica that is known, a
/// crash may lose that it has applied more; and a primary that has lost its synchronous standby,
/// and by it the right to be one, is believed for so long and no longer.
const LIGHT_RECEIPTS: Duration = Duration::from_millis(250);
/// The most events that are given at once.
const EVENTS_AT_ONCE: usize = 2000;

/// Asks things in one transaction of one flight, and gives the answers to each. They see what is
/// there when each is answered.
async fn transaction(
    begin: &str,
    server: &Server,
    connected: &Connected,
    asked: Vec<Step<'_>>,
) -> Result<Vec<Vec<Row>>> {
    let mut steps = vec![Step::script(begin)];
    steps.extend(asked);
    steps.push(Step::script(&server.scripts.commit));
    let mut answers = connected.connection.flight(&steps).await?;
    answers.pop();
    answers.remove(0);
    Ok(answers)
}

/// One question of this kind.
async fn ask(server: &Server, connected: &Connected, step: Step<'_>) -> Result<Vec<Row>> {
    let begin = &server.scripts.begin_reading;
    let mut answers = transaction(begin, server, connected, vec![step]).await?;
    answers.pop().ok_or(Failure::Unreadable)
}

/// What follows the place of who sends the heartbeat, and the position of the log's head.
pub(super) async fn news(
    server: &Server,
    connected: &Connected,
    heartbeat: &Heartbeat,
    keeps_receipt: bool,
) -> Result<(Answer<News>, Option<u64>)> {
    let nowhere = Place {
        history: HistoryId::from_bytes([0; 16]),
        position: 0,
        event: EventId::from_bytes([0; 16]),
    };
    let max_staleness = heartbeat.max_staleness.as_millis();
    let step = Step::new(&server.sql.news)
        .place(heartbeat.applied.unwrap_or(nowhere))
        .bytes(heartbeat.replica.as_bytes())
        .number(u64::try_from(max_staleness).unwrap_or(u64::MAX))
        .flag(keeps_receipt)
        .number(EVENTS_AT_ONCE as u64);
    // One that may write, and so runs on a primary only, whether it does or not.
    let _ = connected.connection.take_warning();
    let asked = Instant::now();
    let durable = *connected.receipt.lock();
    // One that says for the first time that there is a replica is not to be lost.
    let is_light = heartbeat.applied.is_some()
        && durable.is_some_and(|(replica, since)| {
            replica == heartbeat.replica && asked < since + LIGHT_RECEIPTS
        });
    let begin = match is_light || !keeps_receipt {
        true => &server.scripts.begin_light,
        false => &server.scripts.begin,
    };
    let answers = transaction(begin, server, connected, vec![step]).await?;
    // A receipt that may be lost was given by a primary that may not be one any more.
    if let Some(warning) = connected.connection.take_warning() {
        return Err(Failure::Warned(warning));
    }
    if keeps_receipt && !is_light {
        *connected.receipt.lock() = Some((heartbeat.replica, asked));
    }
    let rows = answers.first().ok_or(Failure::Unreadable)?;
    let state = State::read(&mut Fields::of(first(rows)?))?;
    let time = state.time;
    let Some(place) = heartbeat.applied else {
        let value = News::TakeSnapshot;
        return Ok((Answer { value, time }, None));
    };
    let (value, head) = match state.standing(place)? {
        Standing::Part => {
            let head = state.log.map_or(place.position, |log| log.head.position);
            (events(rows, place.position, head)?, Some(head))
        }
        Standing::Trimmed | Standing::Before => (News::TakeSnapshot, None),
        Standing::Unknown => (News::NotMyPast, None),
    };
    Ok((Answer { value, time }, head))
}

fn events(rows: &[Row], after: u64, head: u64) -> Result<News> {
    let mut events: Vec<Event> = Vec::with_capacity(rows.len());
    let mut last = after;
    for row in rows {
        let mut fields = Fields::of(row);
        State::read(&mut fields)?;
        if let Some(event) = row::event(&mut fields)? {
            last = event.position;
            events.push(event);
        }
    }
    // All of it was seen in one moment: what is missing is not to come.
    if last < head && events.len() < EVENTS_AT_ONCE {
        return Err(Failure::Damaged("events are missing from the log"));
    }
    let more = last != head;
    Ok(News::Events { events, more })
}

pub(super) async fn standing(
    server: &Server,
    connected: &Connected,
    place: Place,
) -> Result<Answer<Standing>> {
    let step = Step::new(&server.sql.standing).place(place);
    let rows = ask(server, connected, step).await?;
    let state = State::read(&mut Fields::of(first(&rows)?))?;
    Ok(Answer {
        value: state.standing(place)?,
        time: state.time,
    })
}

pub(super) async fn receipts(
    server: &Server,
    connected: &Connected,
) -> Result<Answer<Vec<Receipt>>> {
    let rows = ask(server, connected, Step::new(&server.sql.receipts)).await?;
    let time = Fields::of(first(&rows)?).heading()?;
    let mut receipts = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut fields = Fields::of(row);
        fields.heading()?;
        receipts.extend(row::receipt(&mut fields)?);
    }
    Ok(Answer {
        value: receipts,
        time,
    })
}

/// The answer to a question about session rows.
pub(super) type Sessions = Answer<Option<Vec<SessionRow>>>;

/// Several questions about session rows, sent together.
pub(super) async fn sessions(
    server: &Server,
    connected: &Connected,
    queries: &[SessionQuery],
) -> Result<Vec<Result<Sessions>>> {
    let asked = queries.iter().map(|query| {
        let step = Step::new(&server.sql.find_sessions).place(query.known);
        match &query.rows {
            Rows::One(id) => step.bytes(id.as_bytes()).bytes(&[]),
            Rows::OfUser(user) => step.bytes(&[]).bytes(user),
        }
    });
    let begin = &server.scripts.begin_reading;
    let answers = transaction(begin, server, connected, asked.collect()).await?;
    let answers = queries.iter().zip(answers);
    Ok(answers
        .map(|(query, rows)| session_rows(query, &rows))
        .collect())
}

fn session_rows(query: &SessionQuery, rows: &[Row]) -> Result<Sessions> {
    let state = State::read(&mut Fields::of(first(rows)?))?;
    let time = state.time;
    let standing = state.standing(query.known)?;
    if !matches!(standing, Standing::Part | Standing::Trimmed) {
        return Ok(Answer { value: None, time });
    }
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let mut fields = Fields::of(row);
        State::read(&mut fields)?;
        found.extend(row::session(&mut fields)?);
    }
    Ok(Answer {
        value: Some(found),
        time,
    })
}
