//! What is changed, each in one transaction; the next one waits for its end.
//!
//! A transaction is two flights: the first waits for its turn, locks the head and reads all that
//! decides, the second writes and commits. Between them the others wait while we decide, which
//! takes no time; if we never come back, the server ends it.

use super::{
    draft::{self, Draft},
    failure::Failure,
    row::SCHEMA_VERSION,
    server::{Connected, Server},
    step::Step,
    view::{View, Wanted, leave},
};
use crate::store::{
    Answer, Beginning, Commit, Effect, Event, HistoryId, NewHistory, Outcome, Place, Refusal,
    Rewrap, Standing, StoreTime, StoredKey, rules,
};

type Result<T> = std::result::Result<T, Failure>;

/// Makes several commits in one transaction. One that is refused does not keep the others from
/// being made.
pub(super) async fn commit(
    server: &Server,
    connected: &Connected,
    commits: &[Commit],
) -> Result<Vec<Answer<Outcome>>> {
    let mut wanted = Wanted::default();
    commits.iter().for_each(|commit| wanted.add(commit));
    let view = View::open(server, connected, &wanted).await?;
    let mut draft = Draft::new(view);
    let time = draft.time();
    let outcomes = commits.iter().map(|commit| draft.commit(commit.clone()));
    let outcomes = match outcomes.collect::<Result<Vec<_>>>() {
        Ok(outcomes) => outcomes,
        Err(failure) => {
            leave(server, connected, false).await?;
            return Err(failure);
        }
    };
    let steps = draft.steps(&server.sql);
    finish(server, connected, steps, draft.appends_up_to()).await?;
    let answers = outcomes.into_iter().map(|value| Answer { value, time });
    Ok(answers.collect())
}

/// Writes and commits, and wakes those who listen. With nothing to write, nothing is changed.
pub(super) async fn finish(
    server: &Server,
    connected: &Connected,
    mut steps: Vec<Step<'_>>,
    up_to: Option<Place>,
) -> Result<()> {
    if steps.is_empty() {
        return leave(server, connected, false).await;
    }
    let written = steps.len();
    steps.push(Step::script(&server.scripts.commit));
    if let Some(place) = up_to {
        // After the commit: within it, the lock that all who notify take would be held while the
        // server writes to its disk.
        let word = format!("{} {}", place.history, place.position);
        let notify = Step::new(&server.sql.notify);
        steps.push(notify.text(server.schema()).text(&word));
    }
    let _ = connected.connection.take_warning();
    let _ = connected.connection.take_committed();
    let answers = connected.connection.each(&steps).await;
    let answers = answers.map_err(Failure::in_doubt)?;
    // That nobody is woken changes nothing of what was made.
    for answer in answers.into_iter().take(written + 1) {
        if let Err(failure) = answer {
            leave(server, connected, false).await?;
            return Err(failure);
        }
    }
    match connected.connection.take_warning() {
        Some(warning) => Err(Failure::Warned(warning)),
        None if !connected.connection.take_committed() => Err(Failure::Unreadable),
        None => Ok(()),
    }
}

/// Begins a history. What there is of others becomes garbage.
pub(super) async fn begin(
    server: &Server,
    connected: &Connected,
    new: &NewHistory,
) -> Result<Answer<Outcome>> {
    let mut wanted = Wanted::default();
    if let Beginning::Unknown { place, .. } = &new.beginning {
        wanted.positions.insert(place.position);
    }
    let view = View::open(server, connected, &wanted).await?;
    let time = view.time;
    let may_begin = match may_begin(&view, &new.beginning) {
        Ok(may_begin) => may_begin,
        Err(failure) => {
            leave(server, connected, false).await?;
            return Err(failure);
        }
    };
    if !may_begin {
        leave(server, connected, false).await?;
        let value = Outcome::Refused(Refusal::Beginning);
        return Ok(Answer { value, time });
    }
    let (place, steps) = beginning(server, view, new);
    finish(server, connected, steps, Some(place)).await?;
    let value = Outcome::Done { head: place };
    Ok(Answer { value, time })
}

fn may_begin(view: &View, beginning: &Beginning) -> Result<bool> {
    let head = view.head.as_ref().map(|head| head.place);
    Ok(match beginning {
        Beginning::Empty => head.is_none(),
        Beginning::Unknown { place, .. } => view.standing(*place)? == Standing::Unknown,
        Beginning::InsteadOf(history) => head.is_some_and(|head| head.history == *history),
    })
}

fn beginning<'s>(server: &'s Server, view: View, new: &NewHistory) -> (Place, Vec<Step<'s>>) {
    let sql = &server.sql;
    let before = view.head.as_ref().map(|head| head.place);
    let position = rules::first_position(&new.beginning, before);
    let place = Place {
        history: new.id,
        position,
        event: new.event.id,
    };
    let (mut past, mut line) = (Vec::new(), new.id.as_bytes().to_vec());
    if let Some(head) = view.head {
        past = head.predecessors;
        if new.keeps_sessions {
            line = head.session_line;
        }
    }
    let past = rules::predecessors(past, before, new.beginning.clone());
    let head = Step::new(&sql.put_head)
        .place(place)
        .many_bytes(past.iter().map(|history| &history.as_bytes()[..]))
        .bytes(&new.secrets)
        .bytes(&line);
    let event = Event {
        position,
        id: new.event.id,
        time: view.time,
        body: new.event.body.clone(),
    };
    let version = Step::new(&sql.put_version).integer(SCHEMA_VERSION);
    let mut steps = vec![version, head, draft::append(sql, new.id, &[event])];
    steps.extend(
        first_key(new, position, view.time).map(|key| draft::add_keys(sql, new.id, &[key])),
    );
    (place, steps)
}

/// The ring key that the first event brings in.
fn first_key(new: &NewHistory, position: u64, time: StoreTime) -> Option<StoredKey> {
    match &new.event.effect {
        Effect::AddKey { key, record } | Effect::ReplaceKeys { key, record } => Some(StoredKey {
            id: *key,
            position,
            introduced_at: time,
            record: record.clone(),
        }),
        Effect::Epoch { .. } | Effect::RemoveKey { .. } => None,
    }
}

/// Keeps the same secrets under another wrapping.
pub(super) async fn rewrap(
    server: &Server,
    connected: &Connected,
    rewrap: &Rewrap,
) -> Result<Answer<Outcome>> {
    let wanted = Wanted {
        positions: [rewrap.known.position].into(),
        ring_keys: true,
        ..Wanted::default()
    };
    let view = View::open(server, connected, &wanted).await?;
    let time = view.time;
    let head = match view.head_since(rewrap.known) {
        Ok(head) => head.map(|head| head.place),
        Err(failure) => {
            leave(server, connected, false).await?;
            return Err(failure);
        }
    };
    let ids = rewrap.keys.iter().map(|(id, _)| *id);
    let are_same = ids.eq(view.ring_keys.iter().map(|key| key.id));
    let (value, steps) = match head {
        None => (Outcome::Refused(Refusal::Place), Vec::new()),
        Some(_) if !are_same => (Outcome::Refused(Refusal::Key), Vec::new()),
        Some(head) => (
            Outcome::Done { head },
            wrapped(server, head.history, rewrap),
        ),
    };
    finish(server, connected, steps, None).await?;
    Ok(Answer { value, time })
}

fn wrapped<'s>(server: &'s Server, history: HistoryId, rewrap: &Rewrap) -> Vec<Step<'s>> {
    let secrets = Step::new(&server.sql.put_secrets).bytes(&rewrap.secrets);
    let keys = Step::new(&server.sql.rewrap_ring_keys).history(history);
    let keys = keys.many_bytes(rewrap.keys.iter().map(|(id, _)| &id.as_bytes()[..]));
    vec![
        secrets,
        keys.many_bytes(rewrap.keys.iter().map(|(_, record)| &record[..])),
    ]
}
