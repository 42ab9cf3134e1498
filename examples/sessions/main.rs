//! Three devices log in and refresh a hundred times each. One is ended, one is stolen, one
//! lives.
//!
//! `cargo run --release --example sessions`

use std::{
    error::Error,
    sync::mpsc::{self, Receiver, Sender},
    time::Instant,
};

use epochkey::{
    Authority, Grant, MasterSecret, Observer, RedbStore, RefreshError, RefreshToken, SessionId,
    TokenPair,
};

const USER: &str = "ada";
const REFRESHES: u32 = 100;
/// The refresh after which a thief copies the tablet's refresh token.
const COPIED_AFTER: u32 = 50;

type Outcome = Result<(), Box<dyn Error>>;

/// What one device keeps: the tokens that it was given last.
struct Device {
    name: &'static str,
    pair: TokenPair,
}

/// Warns users of stolen sessions. An observer may not block, so it hands the news on; a
/// service would send a mail.
struct Warnings(Sender<(String, SessionId)>);

impl Observer for Warnings {
    fn reused(&self, user: &str, session: &SessionId) {
        let _nobody_listens = self.0.send((user.to_owned(), session.clone()));
    }
}

fn main() -> Outcome {
    let directory = tempfile::tempdir()?;
    let (sender, warnings) = mpsc::channel();
    let authority = Authority::builder("https://issuer.example", "api")
        .master_secret(MasterSecret::generate()?)
        .observer(Warnings(sender))
        .open(RedbStore::open(directory.path().join("auth.redb"))?)?;
    println!("opened    a store in a temporary file");

    let mut phone = log_in(&authority, "phone")?;
    let mut laptop = log_in(&authority, "laptop")?;
    let mut tablet = log_in(&authority, "tablet")?;
    list(&authority, &["laptop", "phone", "tablet"])?;

    let copied = refresh_all(&authority, [&mut phone, &mut laptop, &mut tablet])?;
    lose_a_response(&authority, &mut laptop)?;
    end(&authority, &phone)?;
    steal(&authority, &tablet, &copied, &warnings)?;
    live_on(&authority, &mut laptop)
}

/// What a service does when the password was right.
fn log_in(authority: &Authority, name: &'static str) -> Result<Device, Box<dyn Error>> {
    let sessions = authority.sessions();
    let pair = sessions.start(Grant::user(USER), name).wait()?;
    println!("\nlogged in {USER} on the {name}");
    println!(
        "          an access token for {} minutes: {}…",
        pair.access.expires_in().as_secs() / 60,
        &pair.access.as_str()[..32]
    );
    println!("          a refresh token: {}", shortened(&pair.refresh));
    Ok(Device { name, pair })
}

/// Gives the tablet's refresh token as it was half-way.
fn refresh_all(
    authority: &Authority,
    devices: [&mut Device; 3],
) -> Result<RefreshToken, Box<dyn Error>> {
    let firsts = devices.each_ref().map(|device| device.pair.access.clone());
    let mut copied = devices[2].pair.refresh.clone();
    let started = Instant::now();
    for n in 1..=REFRESHES {
        for device in devices.iter().map(|device| &device.pair) {
            authority.verify(&device.access)?;
        }
        for device in [0, 1, 2] {
            refresh(authority, devices[device])?;
        }
        if n == COPIED_AFTER {
            copied = devices[2].pair.refresh.clone();
        }
    }
    let each = started.elapsed() / (3 * REFRESHES);
    println!(
        "\nrefreshed each of them {REFRESHES} times, {each:.1?} each, kept before it was answered"
    );
    for device in &devices {
        let token = shortened(&device.pair.refresh);
        println!("          the {} now has {token}", device.name);
        say("its access token", authority, device, "good")?;
    }
    for first in &firsts {
        authority.verify(first)?;
    }
    println!("          the first access tokens are good too, until they expire");
    list(authority, &["laptop", "phone", "tablet"])?;
    Ok(copied)
}

fn refresh(authority: &Authority, device: &mut Device) -> Outcome {
    device.pair = authority.sessions().refresh(&device.pair.refresh).wait()?;
    Ok(())
}

/// The client does not know whether it was refreshed, and shows the same token again.
fn lose_a_response(authority: &Authority, laptop: &mut Device) -> Outcome {
    let before = laptop.pair.refresh.clone();
    let lost = authority.sessions().refresh(&before).wait()?;
    println!("\nlost      the response to the laptop, which shows the same refresh token again");
    refresh(authority, laptop)?;
    let successor = laptop.pair.refresh.as_str();
    ensure(successor == lost.refresh.as_str(), "another successor")?;
    println!("          it is given the same successor: nobody is logged out");
    say("its access token", authority, laptop, "good")
}

fn end(authority: &Authority, phone: &Device) -> Outcome {
    authority.sessions().end(phone.pair.session.id()).wait()?;
    println!("\nended     the phone: {USER} has left it on a train");
    say("its access token", authority, phone, "revoked")?;
    let refused = refused(authority, &phone.pair.refresh)?;
    println!("          its refresh token is {}", reason(&refused));
    ensure(matches!(refused, RefreshError::Ended), "not ended")?;
    list(authority, &["laptop", "tablet"])
}

/// The thief shows a token that the tablet has used long ago.
fn steal(
    authority: &Authority,
    tablet: &Device,
    copied: &RefreshToken,
    warnings: &Receiver<(String, SessionId)>,
) -> Outcome {
    println!("\nstolen    the tablet's refresh token, after {COPIED_AFTER} refreshes");
    let reused = refused(authority, copied)?;
    println!("          the thief's copy is {}", reason(&reused));
    ensure(matches!(reused, RefreshError::Reused { .. }), "not noticed")?;
    say("the tablet's access token", authority, tablet, "revoked")?;
    let ended = refused(authority, &tablet.pair.refresh)?;
    println!("          the tablet's refresh token is {}", reason(&ended));
    ensure(matches!(ended, RefreshError::Ended), "not ended")?;

    let (user, session) = warnings.try_recv()?;
    ensure(session == *tablet.pair.session.id(), "another session")?;
    println!(
        "warned    {user}: somebody else has used your {}",
        tablet.name
    );
    ensure(warnings.try_recv().is_err(), "warned twice")?;
    list(authority, &["laptop"])
}

fn live_on(authority: &Authority, laptop: &mut Device) -> Outcome {
    refresh(authority, laptop)?;
    println!("\nlives     the laptop, which refreshes and goes on");
    say("its access token", authority, laptop, "good")
}

fn list(authority: &Authority, expected: &[&str]) -> Outcome {
    let sessions = authority.sessions().list(USER).wait()?;
    let mut labels: Vec<_> = sessions.iter().map(|session| session.label()).collect();
    labels.sort_unstable();
    println!("          {USER} is logged in on: {}", labels.join(", "));
    ensure(labels == expected, "not the sessions that there should be")
}

/// Says what becomes of the device's access token.
fn say(what: &str, authority: &Authority, device: &Device, expected: &str) -> Outcome {
    let (label, outcome) = match authority.verify(&device.pair.access) {
        Ok(_) => ("good", "good".to_owned()),
        Err(error) => {
            let label = error.label();
            (label, format!("refused as `{label}`: {error}"))
        }
    };
    println!("          {what} is {outcome}");
    ensure(label == expected, "not what it should be")
}

fn refused(authority: &Authority, token: &RefreshToken) -> Result<RefreshError, Box<dyn Error>> {
    match authority.sessions().refresh(token).wait() {
        Ok(_) => Err("a refresh token that should be refused is good".into()),
        Err(error) => Ok(error),
    }
}

fn reason(error: &RefreshError) -> String {
    format!("refused as `{}`: {error}", error.label())
}

/// Without most of its tag: whoever sees the whole can use it.
fn shortened(token: &RefreshToken) -> String {
    let text = token.as_str();
    let tag_begins = text.rfind('.').map_or(0, |dot| dot + 1);
    format!("{}…", &text[..tag_begins + 4])
}

fn ensure(holds: bool, otherwise: &str) -> Outcome {
    match holds {
        true => Ok(()),
        false => Err(otherwise.into()),
    }
}
