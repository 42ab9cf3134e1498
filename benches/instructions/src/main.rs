//! How many instructions a verify takes, as valgrind counts them: the same number on a busy
//! machine as on a quiet one.
//!
//! ```sh
//! cargo run --release --manifest-path benches/instructions/Cargo.toml            # prints
//! cargo run --release --manifest-path benches/instructions/Cargo.toml -- check   # compares
//! cargo run --release --manifest-path benches/instructions/Cargo.toml -- write   # commits to it
//! ```
//!
//! `check` compares with `counts.json` and fails if a count has grown by more than
//! 5 %. Needs valgrind, whose processor lacks the SHA instructions: ring's HMAC takes more of others
//! there, so the counts are to be compared with each other only.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs,
    hint::black_box,
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};

use epochkey::{Authority, Grant, MemoryStore};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Counts = BTreeMap<String, u64>;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/counts.json");
/// As a fraction of the committed count.
const MOST_GROWTH: f64 = 0.05;
/// What sets up and what is counted takes so many turns; half of them is subtracted.
const TURNS: usize = 16;
const USERS: usize = 256;
const TOKENS_OF_EACH: usize = 2 * TURNS;

fn main() -> Result<ExitCode> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match *words {
        ["run", row, turns] => run(row, turns.parse()?).map(|()| ExitCode::SUCCESS),
        [] => {
            print(&count_all()?, &Counts::new());
            Ok(ExitCode::SUCCESS)
        }
        ["write"] => {
            let counts = count_all()?;
            print(&counts, &Counts::new());
            fs::write(COMMITTED, serde_json::to_string_pretty(&counts)? + "\n")?;
            Ok(ExitCode::SUCCESS)
        }
        ["check"] => check(),
        _ => Err("nothing, `write` or `check`".into()),
    }
}

fn check() -> Result<ExitCode> {
    let committed: Counts = serde_json::from_str(&fs::read_to_string(COMMITTED)?)?;
    let counts = count_all()?;
    print(&counts, &committed);
    let has_grown = |(row, count): (&String, &u64)| {
        let before = committed.get(row).copied().unwrap_or(0);
        *count as f64 > before as f64 * (1.0 + MOST_GROWTH)
    };
    if counts.iter().any(has_grown) {
        eprintln!(
            "a count has grown by more than 5 %: make it smaller, or commit to it by `write`"
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(counts: &Counts, committed: &Counts) {
    for (row, count) in counts {
        match committed.get(row) {
            Some(before) => println!("{row:<32} {count:>7} instructions, committed: {before}"),
            None => println!("{row:<32} {count:>7} instructions"),
        }
    }
}

const ROWS: [&str; 5] = [
    "floor-ring-hmac",
    "epochkey-first-sight",
    "epochkey-repeat",
    "epochkey-recheck",
    "epochkey-issue",
];

fn count_all() -> Result<Counts> {
    let count = |row: &&str| {
        let (once, twice) = (under_valgrind(row, TURNS)?, under_valgrind(row, 2 * TURNS)?);
        let calls = (TURNS * USERS * calls_of_a_turn(row)) as u64;
        Ok(((*row).to_owned(), twice.saturating_sub(once) / calls))
    };
    ROWS.iter().map(count).collect()
}

/// How often each turn does for each user what is counted. What takes few instructions is done
/// more often: what is subtracted is not quite the same each time.
fn calls_of_a_turn(row: &str) -> usize {
    match row {
        "epochkey-repeat" | "epochkey-recheck" => 16,
        _ => 1,
    }
}

/// How many instructions this program takes for so many turns.
fn under_valgrind(row: &str, turns: usize) -> Result<u64> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("counts");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(env::current_exe()?)
        .args(["run", row, &turns.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    total(&file)
}

fn total(file: &Path) -> Result<u64> {
    let text = fs::read_to_string(file)?;
    let total = text.lines().find_map(|line| {
        let (name, count) = line.split_once(':')?;
        matches!(name, "summary" | "totals").then(|| count.trim().parse())
    });
    Ok(total.ok_or("valgrind wrote no total")??)
}

/// One thing done to a token of each user in each turn; tokens and what is known of users are
/// the same however many turns there are.
fn run(row: &str, turns: usize) -> Result<()> {
    let authority = Authority::builder("https://issuer.example", "api")
        .token_lifetime(Duration::from_secs(24 * 3600))
        .open(MemoryStore::new())?;
    let tokens: Vec<String> = (0..USERS * (TOKENS_OF_EACH + 1))
        .map(|number| authority.issue(Grant::user(format!("user-{:06}", number % USERS))))
        .map(|token| token.map(|token| token.into_string()))
        .collect::<std::result::Result<_, _>>()?;
    // Of each user one that is not used further.
    let (first, others) = tokens.split_at(USERS);
    let mut verified = Vec::new();
    for token in first.iter().cycle().take(3 * USERS) {
        verified.push(authority.verify(token)?);
    }
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[7; 32]);
    let inputs = first.iter().filter_map(|token| token.rsplit_once('.'));
    let signed: Vec<_> = inputs
        .map(|(input, _)| (input.as_bytes(), ring::hmac::sign(&key, input.as_bytes())))
        .collect();
    let calls = calls_of_a_turn(row);
    for turn in 0..turns {
        for user in (0..calls * USERS).map(|call| call % USERS) {
            match row {
                "floor-ring-hmac" => {
                    let (input, tag) = &signed[user];
                    ring::hmac::verify(&key, black_box(input), tag.as_ref())
                        .map_err(|_| "the tag is right")?;
                }
                "epochkey-first-sight" => {
                    black_box(authority.verify(black_box(&others[turn * USERS + user]))?);
                }
                "epochkey-repeat" => {
                    black_box(authority.verify(black_box(&first[user]))?);
                }
                "epochkey-recheck" => authority.recheck(black_box(&verified[user]))?,
                "epochkey-issue" => {
                    black_box(authority.issue(Grant::user(format!("user-{user:06}")))?);
                }
                _ => return Err(format!("no row `{row}`").into()),
            }
        }
    }
    Ok(())
}
