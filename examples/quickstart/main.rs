//! Issue, verify, revoke: the whole crate in one run. Run it twice: it keeps its state in a
//! file, and what the first run revoked is still refused in the second.
//!
//! `cargo run --release --example quickstart`

mod state;

use std::{collections::BTreeMap, error::Error, time::Duration, time::Instant};

use epochkey::{Authority, Grant, RedbStore, Scope, SessionId, Token};
use state::State;

const USERS: usize = 10_000;
const ORGS: usize = 100;

fn user(n: usize) -> String {
    format!("user-{n}")
}

fn org(n: usize) -> String {
    format!("org:{}", n % ORGS)
}

fn main() -> Result<(), Box<dyn Error>> {
    let state = State::open()?;
    let authority = Authority::builder("https://issuer.example", "api")
        .token_lifetime(Duration::from_secs(24 * 3600))
        .master_secret(state.master_secret()?)
        .open(RedbStore::open(state.store())?)?;
    println!("opened    {}", state.store().display());
    look_back(&authority, &state)?;

    let tokens = log_in(&authority)?;
    authority.rotate_key().wait()?;
    println!("\nrotated   the key ring: a new key is announced, and nobody notices");
    report(&authority, &tokens, USERS);

    let mut revoked = vec![tokens[42].as_str().to_owned()];
    revoked.push(revoke(&authority, &tokens)?);
    swap(&authority, &tokens)?;
    look_ahead(&authority, &state, revoked)
}

/// One log-in each: a token is held by its user, its session and its organisation.
fn log_in(authority: &Authority) -> Result<Vec<Token>, Box<dyn Error>> {
    let mut tokens = Vec::with_capacity(USERS);
    for n in 0..USERS {
        let grant = Grant::user(user(n))
            .session(&SessionId::generate()?)
            .group(org(n));
        tokens.push(authority.issue(grant)?);
    }
    println!("\nissued    {USERS} tokens, one for each of {USERS} users in {ORGS} organisations");
    println!(
        "          {} bytes: {}…",
        tokens[0].as_str().len(),
        &tokens[0].as_str()[..48]
    );
    let started = Instant::now();
    for token in &tokens {
        authority.verify(token)?;
    }
    let each = started.elapsed() / USERS as u32;
    println!(
        "verified  all of them, {each:?} each: signature, claims, times, and whether the user,\n          the session or the organisation was revoked"
    );
    report(authority, &tokens, USERS);
    Ok(tokens)
}

/// A user, a session, an organisation. Gives the token of the session.
fn revoke(authority: &Authority, tokens: &[Token]) -> Result<String, Box<dyn Error>> {
    authority.bump(Scope::user(user(42))).wait()?;
    println!("\nbumped    {}", user(42));
    say("its token", authority, &tokens[42]);
    report(authority, tokens, USERS - 1);

    // A second device of the same user goes on when the first one's session ends.
    let laptop = SessionId::generate()?;
    let on_laptop = authority.issue(Grant::user(user(7)).session(&laptop).group(org(7)))?;
    println!("\nissued    a second token to {}, on a laptop", user(7));
    say("it", authority, &on_laptop);
    authority.bump(Scope::session(&laptop)).wait()?;
    println!("ended     the laptop session");
    say("the laptop's token", authority, &on_laptop);
    say("the first token", authority, &tokens[7]);

    authority.bump(Scope::group(org(3))).wait()?;
    let members = USERS / ORGS;
    println!(
        "\nbumped    the group {}, with its {members} members",
        org(3)
    );
    say(&format!("the token of {}", user(3)), authority, &tokens[3]);
    report(authority, tokens, USERS - 1 - members);
    Ok(on_laptop.into_string())
}

fn swap(authority: &Authority, tokens: &[Token]) -> Result<(), Box<dyn Error>> {
    let again = authority.issue(Grant::user(user(42)).group(org(42)))?;
    println!("\nissued    a new token to {}", user(42));
    say("it", authority, &again);
    authority.swap_key().wait()?;
    println!("\nswapped   the key ring: every token dies");
    say("the newest", authority, &again);
    report(authority, tokens, 0);
    Ok(())
}

/// What the last run has left: all that it revoked must be refused.
fn look_back(authority: &Authority, state: &State) -> Result<(), Box<dyn Error>> {
    let Some(left) = state.left()? else {
        println!("          it is new: run this again to see what it keeps");
        return Ok(());
    };
    println!(
        "\nlast run  left {} tokens that it had revoked",
        left.revoked.len()
    );
    for token in &left.revoked {
        if authority.verify(token).is_ok() {
            return Err("a token that was revoked in the last run is good".into());
        }
        say("one", authority, token);
    }
    println!("          all of them are still refused");
    say("the good one that it left", authority, &left.good);
    Ok(())
}

/// Leaves tokens to the next run.
fn look_ahead(
    authority: &Authority,
    state: &State,
    mut revoked: Vec<String>,
) -> Result<(), Box<dyn Error>> {
    let good = authority.issue(Grant::user("ada"))?.into_string();
    let bob = authority.issue(Grant::user("bob"))?.into_string();
    authority.bump(Scope::user("bob")).wait()?;
    revoked.push(bob);
    println!(
        "\nleft      to the next run: {} revoked tokens, and a good one",
        revoked.len()
    );
    state.leave(&good, &revoked)
}

fn say(what: &str, authority: &Authority, token: impl AsRef<[u8]>) {
    let outcome = match authority.verify(token) {
        Ok(_) => "good".to_owned(),
        Err(error) => format!("refused as `{}`: {error}", error.label()),
    };
    println!("          {what} is {outcome}");
}

/// Verifies every token and says how many are good, and why the others are not.
fn report(authority: &Authority, tokens: &[Token], expected: usize) {
    let mut refused = BTreeMap::new();
    for token in tokens {
        if let Err(error) = authority.verify(token) {
            *refused.entry(error.label()).or_insert(0) += 1;
        }
    }
    let good = tokens.len() - refused.values().sum::<usize>();
    assert_eq!(good, expected, "refused: {refused:?}");
    let refused: Vec<_> = refused
        .iter()
        .map(|(label, n)| format!("{n} {label}"))
        .collect();
    match refused.is_empty() {
        true => println!("          all {good} are good"),
        false => println!("          {good} are good, refused: {}", refused.join(", ")),
    }
}
