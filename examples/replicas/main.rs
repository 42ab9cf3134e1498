//! Two replicas on one server: what one revokes the other refuses, and neither trusts what
//! it knows for long when the server is gone.
//!
//! `cargo run --release --example replicas -- postgres` (or `-- redis`) starts a private server
//! of its own, and needs one to be installed.

mod server;

use std::{
    env,
    error::Error,
    io::Write,
    thread,
    time::{Duration, Instant},
};

use epochkey::{
    Authority, AuthorityBuilder, Grant, MasterSecret, Policy, PostgresOptions, PostgresStore,
    RedisOptions, RedisStore, Scope, Token, VerifyError,
};

use self::server::{PostgresServer, RedisServer, Server};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Short, so that the story is. The default is 10 s.
const MAX_STALENESS: Duration = Duration::from_secs(2);
/// Clocks of one machine do not differ. The default is 2 s.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(1);

fn main() -> Outcome {
    // All replicas of a store have the same.
    let secret = MasterSecret::generate()?;
    match env::args().nth(1).as_deref() {
        Some("postgres") => tell(PostgresServer::with(&[])?, |server| {
            let store = PostgresStore::connect(&server.url(), PostgresOptions::new())?;
            Ok(builder(&secret).open(store)?)
        }),
        Some("redis") => tell(RedisServer::with(&[])?, |server| {
            let store = RedisStore::connect(&server.url(), RedisOptions::new())?;
            Ok(builder(&secret).open(store)?)
        }),
        _ => Err("on which store? Say `-- postgres` or `-- redis`".into()),
    }
}

/// As two processes of a service would be, each with connections of its own.
struct Replicas {
    a: Authority,
    b: Authority,
}

fn builder(secret: &MasterSecret) -> AuthorityBuilder {
    let policy = Policy::default()
        .max_staleness(MAX_STALENESS)
        .max_clock_skew(MAX_CLOCK_SKEW);
    Authority::builder("https://issuer.example", "api")
        .policy(policy)
        .master_secret(secret.clone())
}

fn tell<S: Server>(mut server: S, open: impl Fn(&S) -> Outcome<Authority>) -> Outcome {
    say(
        "started",
        &format!("a server of our own at {}", server.address()),
    );
    let replicas = Replicas {
        a: open(&server)?,
        b: open(&server)?,
    };
    say(
        "opened",
        "replicas A and B on it, here in one process, each with connections of its own",
    );
    let (ada, bob) = log_in(&replicas)?;
    bump(&replicas, &ada)?;
    server.kill()?;
    say("killed", "the server, with SIGKILL");
    become_stale(&replicas, &bob)?;
    server.restart()?;
    say("restarted", "the server, with what it had acknowledged");
    recover(&replicas, &ada, &bob)
}

/// Two users get a token each, from A.
fn log_in(replicas: &Replicas) -> Outcome<(Token, Token)> {
    let ada = replicas.a.issue(Grant::user("ada"))?;
    let bob = replicas.a.issue(Grant::user("bob"))?;
    for token in [&ada, &bob] {
        replicas.b.verify(token)?;
    }
    say("issued", "tokens to ada and bob by A; B accepts them");
    // A replica calls a token that is younger than its news may be too young, not revoked.
    thread::sleep(2 * MAX_CLOCK_SKEW + Duration::from_secs(2));
    Ok((ada, bob))
}

fn bump(replicas: &Replicas, ada: &Token) -> Outcome {
    let called = Instant::now();
    let epoch = replicas.a.bump(Scope::user("ada")).wait()?;
    let returned = Instant::now();
    expect_revoked(&replicas.a, ada)?;
    while replicas.b.verify(ada).is_ok() {
        thread::yield_now();
    }
    let refused = returned.elapsed();
    expect_revoked(&replicas.b, ada)?;
    say(
        "bumped",
        &format!(
            "the user ada, on A, in {}: A refuses her token",
            millis(returned - called)
        ),
    );
    say(
        "refused",
        &format!(
            "ada's token by B as `revoked`, {} after the bump had returned",
            millis(refused)
        ),
    );
    let silent = replicas.a.applied_everywhere(epoch).wait()?;
    say(
        "confirmed",
        &format!("the bump by all replicas ({} of them silent)", silent.len()),
    );
    Ok(())
}

fn become_stale(replicas: &Replicas, bob: &Token) -> Outcome {
    let killed = Instant::now();
    replicas.b.verify(bob)?;
    say("accepted", "bob's token by B, whose news is young enough");
    match replicas.a.bump(Scope::user("bob")).wait() {
        Ok(_) => return Err("a bump that nobody keeps".into()),
        Err(error) => say("failed", &format!("a bump on A: {error}{}", causes(&error))),
    }
    let refusal = wait_for(|| replicas.b.verify(bob).err())?;
    if !matches!(refusal, VerifyError::StaleEpochs) {
        return Err(refusal.into());
    }
    say(
        "refused",
        &format!(
            "bob's token by B as `{}`, {} after the kill (max_staleness is {MAX_STALENESS:?}, from \
             when it last asked)",
            refusal.label(),
            millis(killed.elapsed())
        ),
    );
    match replicas.b.issue(Grant::user("bob")) {
        Ok(_) => Err("a token of a stale replica".into()),
        Err(error) => {
            say("refused", &format!("to issue, by B: {error}"));
            Ok(())
        }
    }
}

fn recover(replicas: &Replicas, ada: &Token, bob: &Token) -> Outcome {
    let back = Instant::now();
    for replica in [&replicas.a, &replicas.b] {
        wait_for(|| replica.verify(bob).ok())?;
        expect_revoked(replica, ada)?;
    }
    say(
        "recovered",
        &format!(
            "A and B by themselves, {} after the server: bob's token is good, ada's is `revoked`",
            millis(back.elapsed())
        ),
    );
    Ok(())
}

/// What is behind an error.
fn causes(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let because = format!("\n          because {error}");
        // Some errors say the same as what is behind them.
        if !text.ends_with(&because) {
            text += &because;
        }
        cause = error.source();
    }
    text
}

fn expect_revoked(replica: &Authority, token: &Token) -> Outcome {
    match replica.verify(token) {
        Err(VerifyError::Revoked { .. }) => Ok(()),
        Err(other) => Err(other.into()),
        Ok(_) => Err("a revoked token was accepted".into()),
    }
}

/// Looks again and again, for at most a minute.
fn wait_for<T>(look: impl Fn() -> Option<T>) -> Outcome<T> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if let Some(seen) = look() {
            return Ok(seen);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Err("it took longer than a minute".into())
}

fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

fn say(what: &str, text: &str) {
    println!("{what:<10}{text}");
    // As it happens, also through a pipe.
    let _ = std::io::stdout().flush();
}
