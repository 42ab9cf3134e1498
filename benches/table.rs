//! Ten million epochs: how much memory they take, how long they take to load, and what they
//! cost a verify. Prints ratios, each of one run.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench table`; the number of epochs
//! can be given by `EPOCHKEY_EPOCHS`, and a file to be filled, or that was, by `EPOCHKEY_FILE`.

use std::{
    env,
    error::Error,
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    time::{Duration, Instant},
};

use epochkey::{
    Authority, Grant, MasterSecret, MemoryStore, RedbStore, Scope, Token,
    store::{Commit, Effect, EventId, NewEvent, Place, Standing, Store, StoreTime, Tidy},
};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

const EPOCHS: usize = 10_000_000;
const A_COMMIT: usize = 20_000;
const USERS: usize = 1024;
/// Short rounds in turn, so that whatever else the machine does hits both alike.
const ROUNDS: usize = 100;
/// In each round, so often through all users; the first time fetches what the other has
/// driven out of the caches, and is not counted.
const CYCLES: usize = 16;
const SECRET: &str = "6f0a2b7c9d1e8f3a5b4c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9a0b1c";

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(path) = env::var_os("EPOCHKEY_LOAD") {
        return print_resident(Path::new(&path));
    }
    let epochs = env::var("EPOCHKEY_EPOCHS").map_or(Ok(EPOCHS), |text| text.parse())?;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let kept = env::var_os("EPOCHKEY_FILE").map(PathBuf::from);
    let path = kept.unwrap_or_else(|| directory.path().join("auth.redb"));
    let started = Instant::now();
    if !path.exists() {
        fill(&path, epochs)?;
    }
    println!(
        "{epochs} epochs in {} MB of file, written in {:.1?}",
        fs::metadata(&path)?.len() >> 20,
        started.elapsed()
    );

    let empty = resident(&directory.path().join("empty.redb"))?;
    let full = resident(&path)?;
    println!(
        "resident memory: {empty} kB empty, {full} kB full: {:.1} bytes an epoch",
        (full - empty) as f64 * 1024.0 / epochs as f64
    );

    let (mut read, mut check, mut load) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        read.push(time(|| read_rows(&path))?);
        check.push(time(|| Ok(RedbStore::open(&path)?))?);
        load.push(time(|| authority(&path))?);
    }
    let (read, check, load) = (shortest(read), shortest(check), shortest(load));
    println!(
        "open: {load:.2?}, of it to look for damage: {check:.2?}; redb alone, opened without \
         that, takes {read:.2?} to read the rows: ratio {:.2}, and {:.2} without looking for \
         damage",
        load.as_secs_f64() / read.as_secs_f64(),
        (load - check).as_secs_f64() / read.as_secs_f64()
    );
    verify(&path)
}

fn authority(path: &Path) -> Result<Authority, Box<dyn Error>> {
    let builder = Authority::builder("https://issuer.example", "api");
    let builder = builder.master_secret(MasterSecret::from_text(SECRET)?);
    Ok(builder.open(RedbStore::open(path)?)?)
}

/// Bumps through the store itself: of tags that stand for nobody.
fn fill(path: &Path, epochs: usize) -> Result<(), Box<dyn Error>> {
    drop(authority(path)?);
    let store = RedbStore::open(path)?;
    let now = StoreTime::from_system_time(std::time::SystemTime::now());
    let snapshot = store.snapshot(now, &mut |_| {})?.value;
    let mut known = snapshot.ok_or("the store is empty")?.head;
    let (mut random, mut last_but_one) = (1, known);
    for begin in (0..epochs).step_by(A_COMMIT) {
        let count = A_COMMIT.min(epochs - begin);
        last_but_one = known;
        known = commit(
            &store,
            known,
            (0..count).map(|_| bump(&mut random)).collect(),
        )?;
    }
    trim_log(&store, last_but_one, known)
}

/// What an authority does every minute.
fn trim_log(store: &RedbStore, until: Place, known: Place) -> Result<(), Box<dyn Error>> {
    let end_of_time = StoreTime::from_unix_millis(i64::MAX as u64);
    while store.standing(until, StoreTime::default())?.value != Standing::Trimmed {
        store.tidy(Tidy {
            known,
            epochs_up_to: 0,
            events_up_to: until.position,
            events_before: end_of_time,
            sessions_before: StoreTime::default(),
            receipts_before: StoreTime::default(),
            now: StoreTime::default(),
        })?;
    }
    Ok(())
}

fn commit(store: &RedbStore, known: Place, events: Vec<NewEvent>) -> Result<Place, Box<dyn Error>> {
    let (answered, answer) = mpsc::channel();
    let commit = Commit {
        known,
        newest_key: None,
        events,
        sessions: Vec::new(),
        now: StoreTime::from_system_time(std::time::SystemTime::now()),
    };
    store.commit(commit, Box::new(move |answer| drop(answered.send(answer))));
    match answer.recv()??.value {
        epochkey::store::Outcome::Done { head } => Ok(head),
        refused => Err(format!("{refused:?}").into()),
    }
}

/// Splitmix64: tags are as even as SipHash makes them.
fn next(random: &mut u64) -> u64 {
    *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *random;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn bytes(random: &mut u64) -> [u8; 16] {
    (u128::from(next(random)) << 64 | u128::from(next(random))).to_be_bytes()
}

fn bump(random: &mut u64) -> NewEvent {
    let (tag, secret) = (bytes(random), bytes(random));
    NewEvent {
        id: EventId::from_bytes(bytes(random)),
        body: [&tag[..], &secret[..]].concat(),
        effect: Effect::Epoch { tag, secret },
    }
}

/// Opens the file with redb, which believes it, and reads all epochs into nothing.
fn read_rows(path: &Path) -> Result<Database, Box<dyn Error>> {
    const EPOCHS: TableDefinition<&[u8; 16], (u64, &[u8; 16])> = TableDefinition::new("epochs");
    let database = Database::builder().set_cache_size(16 << 20).open(path)?;
    let mut sum = 0;
    for row in database.begin_read()?.open_table(EPOCHS)?.iter()? {
        let (tag, epoch) = row?;
        let (position, secret) = epoch.value();
        sum ^= position ^ u64::from(tag.value()[0]) ^ u64::from(secret[0]);
    }
    black_box(sum);
    Ok(database)
}

/// How long it takes until the result is there; what lets go of it comes after.
fn time<T>(act: impl Fn() -> Result<T, Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let started = Instant::now();
    let result = act()?;
    let elapsed = started.elapsed();
    drop(result);
    Ok(elapsed)
}

fn shortest(times: Vec<Duration>) -> Duration {
    times.into_iter().min().unwrap_or_default()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The resident memory, in kB, of a process that has done nothing but open this.
fn resident(path: &Path) -> Result<u64, Box<dyn Error>> {
    let output = Command::new(env::current_exe()?)
        .env("EPOCHKEY_LOAD", path)
        .output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn print_resident(path: &Path) -> Result<(), Box<dyn Error>> {
    let _authority = authority(path)?;
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let line = line.ok_or("no resident size")?;
    println!("{}", line.trim().trim_end_matches(" kB"));
    Ok(())
}

fn verify(path: &Path) -> Result<(), Box<dyn Error>> {
    let builder = || Authority::builder("https://issuer.example", "api");
    let empty = builder().open(MemoryStore::new())?;
    let full = authority(path)?;
    // What the epochs are of: they are above the only key, so none is pruned.
    full.bump(Scope::user("somebody")).wait()?;
    let tokens = |authority: &Authority| -> Result<Vec<Token>, Box<dyn Error>> {
        let users = 0..USERS;
        users
            .map(|n| Ok(authority.issue(Grant::user(format!("user-{n}")))?))
            .collect()
    };
    let (of_empty, of_full) = (tokens(&empty)?, tokens(&full)?);
    let (mut times_full, mut times_empty) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        times_full.push(cycle(&full, &of_full)?);
        times_empty.push(cycle(&empty, &of_empty)?);
    }
    let (full, empty) = (median(times_full), median(times_empty));
    println!(
        "verify: {:?} each, beside {:?}: ratio {:.3} (medians of {ROUNDS} rounds in turn)",
        full / USERS as u32,
        empty / USERS as u32,
        full.as_secs_f64() / empty.as_secs_f64()
    );
    Ok(())
}

fn cycle(authority: &Authority, tokens: &[Token]) -> Result<Duration, Box<dyn Error>> {
    verify_all(authority, tokens)?;
    let times = (1..CYCLES).map(|_| time(|| verify_all(authority, tokens)));
    Ok(median(times.collect::<Result<_, _>>()?))
}

fn verify_all(authority: &Authority, tokens: &[Token]) -> Result<(), Box<dyn Error>> {
    for token in tokens {
        black_box(authority.verify(black_box(token))?);
    }
    Ok(())
}
