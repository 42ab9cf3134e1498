//! The tables of `RESULTS.md`.

use std::fmt::Write;

use crate::{
    estimates::{Group, Row},
    machine::Machine,
};

pub(crate) fn markdown(groups: &[Group], machine: &Machine) -> String {
    let mut text = format!(
        "# Results\n\n\
         {machine}. Medians.\n\n\
         `× floor` is how many times as long a row takes as `floor-ring-hmac`, the one \
         HMAC-SHA256 over the signing input of a token that nobody can do without. It is measured \
         in turns of a millisecond, the row and the floor; beside it stands what criterion \
         measured, each row in its time, which other work of the machine disturbs more.\n\n\
         This file is made by `cargo run --manifest-path benches/Cargo.toml --release --bin \
         results`; what the rows do is said in the benches themselves.\n"
    );
    if groups.iter().any(|group| group.name == "verify") {
        text += "\n![Verifying a token, in multiples of one HMAC](verify.svg)\n";
    }
    for group in groups {
        let _ = write!(text, "\n## {}\n\n{}\n\n", group.name, about(&group.name));
        text += &table(group);
    }
    text
}

fn about(group: &str) -> &'static str {
    match group {
        "verify" => "Of a good token; in bold, what checks revocation too and asks nobody.",
        "issue" => "Of a token with the same claims and a random id.",
        "bump" => "Until a bump is in force, with a store in memory; alone and with others.",
        "bump-durable" => "Until a bump is on the disk, by how many threads bump at once.",
        _ => "",
    }
}

fn table(group: &Group) -> String {
    let mut text = match group.floor() {
        Some(_) => "| | × floor | criterion: × floor | time |\n|---|---:|---:|---:|\n",
        None => "| | time |\n|---|---:|\n",
    }
    .to_owned();
    for row in &group.rows {
        let id = match row.is_ours() {
            true => format!("**`{}`**", row.id),
            false => format!("`{}`", row.id),
        };
        let _ = write!(text, "| {id} |");
        if let Some(ratio) = group.ratio(row) {
            let in_turns = group.in_turns.get(&row.id).map(|ratio| times(*ratio));
            let _ = write!(
                text,
                " {} | {} |",
                in_turns.unwrap_or_default(),
                times(ratio)
            );
        }
        let _ = writeln!(text, " {} |", duration(row));
    }
    text
}

/// A ratio to as many digits as mean something.
pub(crate) fn times(ratio: f64) -> String {
    match ratio {
        ..9.95 => format!("{ratio:.2}"),
        ..99.5 => format!("{ratio:.1}"),
        _ => format!("{ratio:.0}"),
    }
}

/// The median, and how far off it may be.
fn duration(row: &Row) -> String {
    let (unit, name) = match row.median {
        ..1e3 => (1.0, "ns"),
        ..1e6 => (1e3, "µs"),
        _ => (1e6, "ms"),
    };
    let off = (row.between.1 - row.median).max(row.median - row.between.0);
    let (median, off) = (row.median / unit, off / unit);
    let digits = match median {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{median:.digits$} ± {off:.digits$} {name}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::estimates::tests::row;

    fn machine() -> Machine {
        Machine {
            processor: "CPU".to_owned(),
            cores: 2,
            compiler: "rustc 1".to_owned(),
            date: "2026-01-02".to_owned(),
        }
    }

    #[test]
    fn ratios_have_the_digits_that_mean_something() {
        let texts = [0.084, 1.0, 9.949, 9.96, 99.4, 99.6, 217.4].map(times);
        assert_eq!(
            texts,
            ["0.08", "1.00", "9.95", "10.0", "99.4", "100", "217"]
        );
    }

    #[test]
    fn times_have_a_unit() {
        let texts = [31.25, 330.0, 72_000.0, 4_200_000.0].map(|median| duration(&row("x", median)));
        let expected = [
            "31.2 ± 3.1 ns",
            "330 ± 33 ns",
            "72.0 ± 7.2 µs",
            "4.20 ± 0.42 ms",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn tables_have_ratios_where_there_is_a_floor() {
        let group = |name: &str, rows| {
            let in_turns = BTreeMap::from([("epochkey-issue".to_owned(), 2.25)]);
            Group::new(name, rows, in_turns)
        };
        let text = markdown(
            &[
                group(
                    "issue",
                    vec![row("floor-ring-hmac", 300.0), row("epochkey-issue", 750.0)],
                ),
                group("bump", vec![row("memory", 5000.0)]),
            ],
            &machine(),
        );
        assert!(
            text.contains("CPU, 2 cores, rustc 1, 2026-01-02."),
            "{text}"
        );
        assert!(
            text.contains("| `floor-ring-hmac` |  | 1.00 | 300 ± 30 ns |"),
            "{text}"
        );
        assert!(
            text.contains("| **`epochkey-issue`** | 2.25 | 2.50 | 750 ± 75 ns |"),
            "{text}"
        );
        assert!(
            text.contains(
                "alone and with others.\n\n| | time |\n|---|---:|\n| `memory` | 5.00 ± 0.50 µs |"
            ),
            "{text}"
        );
        assert!(!text.contains("verify.svg"), "{text}");
    }
}
