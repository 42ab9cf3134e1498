//! Turns what criterion measured into `RESULTS.md` and the chart `verify.svg`.
//!
//! ```sh
//! cargo bench --manifest-path benches/Cargo.toml --bench verify      # and issue, bump, bump-durable
//! cargo run --manifest-path benches/Cargo.toml --release --bin results
//! ```
//!
//! | option | meaning |
//! |---|---|
//! | `--date TEXT` | when it was measured; today if not given |
//! | `--criterion DIRECTORY` | where criterion left its files; under Cargo's target directory if not given |
//! | `--to DIRECTORY` | where to write; `benches/` if not given |

mod chart;
mod estimates;
mod machine;
mod report;

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use self::machine::Machine;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

#[derive(Default)]
struct Options {
    date: Option<String>,
    criterion: Option<PathBuf>,
    to: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse(env::args().skip(1))?;
    let criterion = match options.criterion {
        Some(directory) => directory,
        None => epochkey_benches::criterion_directory(),
    };
    let (groups, left_behind) = estimates::read(&criterion)?;
    for row in left_behind {
        eprintln!("left out, for an earlier run has left it behind: {row}");
    }
    let machine = Machine::this(options.date)?;
    let to = options.to.unwrap_or_else(|| PACKAGE.into());
    write(&to.join("RESULTS.md"), &report::markdown(&groups, &machine))?;
    let verify = groups.iter().find(|group| group.name == "verify");
    match verify.and_then(|group| chart::svg(group, &machine)) {
        Some(svg) => write(&to.join("verify.svg"), &svg),
        None => Err("the group `verify` was not measured together with its floor".into()),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    println!("{}", path.display());
    Ok(())
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            let value = words.next().ok_or(format!("{word} needs a value"))?;
            match word.as_str() {
                "--date" => options.date = Some(value),
                "--criterion" => options.criterion = Some(value.into()),
                "--to" => options.to = Some(value.into()),
                _ => return Err(format!("no option {word}").into()),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let parse = |words: &[&str]| Options::parse(words.iter().map(|&word| word.to_owned()));
        let options = parse(&["--date", "2026-01-02", "--to", "/tmp"]).unwrap();
        assert_eq!(options.date.as_deref(), Some("2026-01-02"));
        assert_eq!(options.to, Some("/tmp".into()));
        assert!(parse(&["--date"]).is_err() && parse(&["--dates", "x"]).is_err());
    }
}
