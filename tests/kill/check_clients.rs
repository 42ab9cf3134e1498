//! What clients can do with the tokens that they hold.

use epochkey::{Authority, RefreshError, TokenPair, testing};

use crate::{
    Checked,
    clients::{Client, Clients, Held, user},
    random::Random,
};

fn refresh(authority: &Authority, token: &str) -> Result<TokenPair, RefreshError> {
    testing::finish(authority, authority.sessions().refresh(token))
}

pub(crate) fn check_clients(
    clients: &mut Clients,
    authority: &Authority,
    random: &mut Random,
) -> Checked {
    for (number, client) in clients.0.iter_mut().enumerate() {
        let wrong = |wrong: String| format!("client {number}: {wrong}");
        check_ended(client, authority).map_err(wrong)?;
        check_list(client, number, authority).map_err(wrong)?;
        check_successor(client, authority, random).map_err(wrong)?;
        check_goes_on(client, authority, random).map_err(wrong)?;
    }
    Ok(())
}

fn check_ended(client: &Client, authority: &Authority) -> Checked {
    for held in client.ended.iter().rev().take(5) {
        if authority.verify(&held.access).is_ok() {
            return Err(format!("logged out, and good: {}", held.access));
        }
        match refresh(authority, &held.refresh) {
            Err(RefreshError::Ended) => {}
            other => return Err(format!("logged out, and {other:?}")),
        }
    }
    Ok(())
}

/// No session but the one that it holds, and log-ins whose tokens nobody has.
fn check_list(client: &mut Client, number: usize, authority: &Authority) -> Checked {
    let list = testing::finish(authority, authority.sessions().list(user(number))).unwrap();
    let most = usize::from(client.held.is_some()) + client.lost_log_ins;
    if list.len() > most {
        return Err(format!("{} sessions, not {most}", list.len()));
    }
    Ok(())
}

/// What was acknowledged is given again for what was shown for it: nothing forks.
fn check_successor(client: &Client, authority: &Authority, random: &mut Random) -> Checked {
    let (Some(held), Some(shown)) = (&client.held, &client.shown) else {
        return Ok(());
    };
    // With a refresh under way, the successor may have been used already: to show the one
    // before it is theft then.
    if client.was_refreshing || client.may_be_out || random.chance(30) {
        return Ok(());
    }
    match refresh(authority, shown) {
        Ok(pair) if pair.refresh.as_str() == held.refresh => Ok(()),
        other => Err(format!(
            "{} was followed by {}, now {other:?}",
            shown, held.refresh
        )),
    }
}

/// The token that it holds is good, though the answer to it may have been lost before.
fn check_goes_on(client: &mut Client, authority: &Authority, random: &mut Random) -> Checked {
    let Some(held) = client.held.clone() else {
        return Ok(());
    };
    if random.chance(20) {
        // Let several processes be killed before it is shown again.
        return Ok(());
    }
    let is_good = authority.verify(&held.access).is_ok();
    let first = match refresh(authority, &held.refresh) {
        Ok(pair) => pair,
        Err(RefreshError::Ended) if client.may_be_out && !is_good => {
            client.is_out();
            return Ok(());
        }
        Err(error) => return Err(format!("cannot go on with {}: {error}", held.refresh)),
    };
    if !is_good {
        return Err(format!("goes on, but its token is dead: {}", held.access));
    }
    let again = refresh(authority, &held.refresh).map_err(|error| error.to_string())?;
    if again.refresh.as_str() != first.refresh.as_str() {
        return Err(format!("{} has two successors", held.refresh));
    }
    client.got(Held {
        refresh: first.refresh.as_str().to_owned(),
        access: first.access.as_str().to_owned(),
    })
}
