//! Issue, verify, revoke: the whole crate in one run.
//!
//! `cargo run --release --example quickstart`

use std::{collections::BTreeMap, error::Error, time::Instant};

use epochkey::{Authority, Grant, MemoryStore, Scope, SessionId, Token};

const USERS: usize = 10_000;
const ORGS: usize = 100;

fn user(n: usize) -> String {
    format!("user-{n}")
}

fn org(n: usize) -> String {
    format!("org:{}", n % ORGS)
}

fn main() -> Result<(), Box<dyn Error>> {
    let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;

    // One log-in each: a token is held by its user, its session and its organisation.
    let mut tokens = Vec::with_capacity(USERS);
    for n in 0..USERS {
        let grant = Grant::user(user(n))
            .session(&SessionId::generate()?)
            .group(org(n));
        tokens.push(authority.issue(grant)?);
    }
    println!("issued    {USERS} tokens, one for each of {USERS} users in {ORGS} organisations");
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
    report(&authority, &tokens, USERS);

    authority.rotate_key().wait()?;
    println!("\nrotated   the key ring: a new key is announced, and nobody notices");
    report(&authority, &tokens, USERS);

    authority.bump(Scope::user(user(42))).wait()?;
    println!("\nbumped    {}", user(42));
    println!(
        "          its token is {}",
        outcome(&authority, &tokens[42])
    );
    report(&authority, &tokens, USERS - 1);

    // A second device of the same user goes on when the first one's session ends.
    let laptop = SessionId::generate()?;
    let on_laptop = authority.issue(Grant::user(user(7)).session(&laptop).group(org(7)))?;
    println!("\nissued    a second token to {}, on a laptop", user(7));
    println!("          it is {}", outcome(&authority, &on_laptop));
    authority.bump(Scope::session(&laptop)).wait()?;
    println!("ended     the laptop session");
    println!(
        "          the laptop's token is {}",
        outcome(&authority, &on_laptop)
    );
    println!(
        "          the first token is {}",
        outcome(&authority, &tokens[7])
    );

    authority.bump(Scope::group(org(3))).wait()?;
    println!(
        "\nbumped    the group {}, with its {} members",
        org(3),
        USERS / ORGS
    );
    println!(
        "          the token of {} is {}",
        user(3),
        outcome(&authority, &tokens[3])
    );
    report(&authority, &tokens, USERS - 1 - USERS / ORGS);

    let again = authority.issue(Grant::user(user(42)).group(org(42)))?;
    println!(
        "\nissued    a new token to {}: it is {}",
        user(42),
        outcome(&authority, &again)
    );

    authority.swap_key().wait()?;
    println!("\nswapped   the key ring: every token dies");
    println!("          the newest is {}", outcome(&authority, &again));
    report(&authority, &tokens, 0);
    Ok(())
}

fn outcome(authority: &Authority, token: &Token) -> String {
    match authority.verify(token) {
        Ok(_) => "good".to_owned(),
        Err(error) => format!("refused as `{}`: {error}", error.label()),
    }
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
