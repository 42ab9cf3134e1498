//! What the benches leave: a directory of each row, with its name and criterion's estimates, and
//! the ratios of a group's rows that were measured in turns.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

use epochkey_benches::RATIOS;
use serde_json::Value;

use crate::Result;

/// The row that the others of its group are measured by.
const FLOOR: &str = "floor-ring-hmac";
/// The groups there are, in their order. Others are what an earlier version left behind.
const GROUPS: [&str; 4] = ["verify", "issue", "bump", "bump-durable"];
/// Rows of one run are not further apart. What is older was measured by another floor.
const ONE_RUN: Duration = Duration::from_secs(1800);

pub(crate) struct Group {
    pub(crate) name: String,
    /// In ascending order of what they take.
    pub(crate) rows: Vec<Row>,
    /// How many times the floor rows take, measured in turns.
    pub(crate) in_turns: BTreeMap<String, f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) id: String,
    /// The median, in nanoseconds.
    pub(crate) median: f64,
    /// The bounds between which criterion puts the median with 95 %.
    pub(crate) between: (f64, f64),
}

impl Group {
    /// The rows may come in any order.
    pub(crate) fn new(name: &str, mut rows: Vec<Row>, in_turns: BTreeMap<String, f64>) -> Self {
        rows.sort_by(|a, b| a.median.total_cmp(&b.median));
        let mut group = Self {
            name: name.to_owned(),
            rows,
            in_turns,
        };
        if group.floor().is_some() {
            let mut rows = group.rows.clone();
            rows.sort_by(|a, b| {
                let [a, b] = [a, b].map(|row| group.best_ratio(row).unwrap_or_default());
                a.total_cmp(&b)
            });
            group.rows = rows;
        }
        group
    }

    pub(crate) fn floor(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.is_floor())
    }

    /// How many times the floor a row takes, by the best that was measured.
    pub(crate) fn best_ratio(&self, row: &Row) -> Option<f64> {
        let in_turns = self.in_turns.get(&row.id).copied();
        in_turns.or_else(|| self.ratio(row))
    }

    /// How many times the floor a row takes, each measured in its time.
    pub(crate) fn ratio(&self, row: &Row) -> Option<f64> {
        Some(row.median / self.floor()?.median)
    }
}

impl Row {
    pub(crate) fn is_floor(&self) -> bool {
        self.id == FLOOR
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.id.starts_with("epochkey")
    }
}

/// A row, and where and when it was measured.
struct Found {
    group: String,
    row: Row,
    at: SystemTime,
}

/// All groups, and the names of rows that another run has left behind.
pub(crate) fn read(directory: &Path) -> Result<(Vec<Group>, Vec<String>)> {
    let mut found = Vec::new();
    find(directory, &mut found)?;
    if found.is_empty() {
        return Err(format!("nothing was measured in {}", directory.display()).into());
    }
    let (groups, left_behind) = last_run(found);
    let groups = groups.into_iter().map(|(name, rows)| {
        let in_turns = read_in_turns(&directory.join(name).join(RATIOS))?;
        Ok(Group::new(name, rows, in_turns))
    });
    Ok((groups.collect::<Result<_>>()?, left_behind))
}

fn read_in_turns(file: &Path) -> Result<BTreeMap<String, f64>> {
    match fs::read(file) {
        Ok(json) => Ok(serde_json::from_slice(&json)?),
        // Not all groups have a floor.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error.into()),
    }
}

/// Criterion names directories after groups and rows, one below the other.
fn find(directory: &Path, found: &mut Vec<Found>) -> Result<()> {
    let entries = fs::read_dir(directory)
        .map_err(|error| format!("{}: {error}; run a bench first", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        let estimates = path.join("new/estimates.json");
        if estimates.is_file() {
            let name = fs::read_to_string(path.join("new/benchmark.json"))?;
            let (group, id) = parse_name(&name)?;
            let row = parse_row(id, &fs::read_to_string(&estimates)?)?;
            let at = fs::metadata(&estimates)?.modified()?;
            found.push(Found { group, row, at });
        } else if path.is_dir() {
            find(&path, found)?;
        }
    }
    Ok(())
}

fn parse_name(json: &str) -> Result<(String, String)> {
    let name: Value = serde_json::from_str(json)?;
    let group = name["group_id"].as_str().ok_or("a row without a group")?;
    let id = name["full_id"].as_str().ok_or("a row without an id")?;
    let id = id.strip_prefix(group).unwrap_or(id);
    Ok((group.to_owned(), id.trim_start_matches('/').to_owned()))
}

fn parse_row(id: String, json: &str) -> Result<Row> {
    let estimates: Value = serde_json::from_str(json)?;
    let median = &estimates["median"];
    let number = |value: &Value| value.as_f64().ok_or(format!("{id} has no median"));
    let interval = &median["confidence_interval"];
    let between = (
        number(&interval["lower_bound"])?,
        number(&interval["upper_bound"])?,
    );
    Ok(Row {
        median: number(&median["point_estimate"])?,
        between,
        id,
    })
}

type Rows = (&'static str, Vec<Row>);

/// The rows of each group's last run, and the names of the others.
fn last_run(found: Vec<Found>) -> (Vec<Rows>, Vec<String>) {
    let mut groups: Vec<Rows> = GROUPS.iter().map(|&name| (name, Vec::new())).collect();
    let mut left_behind = Vec::new();
    let newest_of = |group: &str| {
        let of_group = found.iter().filter(|found| found.group == group);
        of_group.map(|found| found.at).max()
    };
    for each in &found {
        let group = groups.iter_mut().find(|(name, _)| *name == each.group);
        match group {
            Some((_, rows)) if newest_of(&each.group) <= Some(each.at + ONE_RUN) => {
                rows.push(each.row.clone());
            }
            _ => left_behind.push(format!("{}/{}", each.group, each.row.id)),
        }
    }
    groups.retain(|(_, rows)| !rows.is_empty());
    (groups, left_behind)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(id: &str, median: f64) -> Row {
        Row {
            id: id.to_owned(),
            median,
            between: (median * 0.9, median * 1.1),
        }
    }

    fn found(group: &str, id: &str, median: f64, age: Duration) -> Found {
        Found {
            group: group.to_owned(),
            row: row(id, median),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000) - age,
        }
    }

    #[test]
    fn names_and_medians_are_read() {
        let name = r#"{"group_id":"verify","function_id":"biscuit","full_id":"verify/biscuit"}"#;
        let expected = ("verify".to_owned(), "biscuit".to_owned());
        assert_eq!(parse_name(name).unwrap(), expected);
        let json = r#"{"mean":{"point_estimate":9.0},"median":{"confidence_interval":
            {"lower_bound":1.5,"upper_bound":2.5},"point_estimate":2.0}}"#;
        let row = parse_row("x".to_owned(), json).unwrap();
        assert_eq!((row.median, row.between), (2.0, (1.5, 2.5)));
        assert!(parse_row("x".to_owned(), "{}").is_err() && parse_name("{}").is_err());
    }

    #[test]
    fn groups_have_their_order() {
        let now = Duration::ZERO;
        let (groups, left_behind) = last_run(vec![
            found("extra", "a", 1.0, now),
            found("issue", "b", 1.0, now),
            found("verify", FLOOR, 300.0, now),
        ]);
        let expected = [
            ("verify", vec![row(FLOOR, 300.0)]),
            ("issue", vec![row("b", 1.0)]),
        ];
        assert_eq!(groups, expected);
        assert_eq!(left_behind, ["extra/a"]);
    }

    #[test]
    fn rows_of_an_earlier_run_are_left_out() {
        let (groups, left_behind) = last_run(vec![
            found("verify", "removed", 900.0, ONE_RUN * 2),
            found("verify", FLOOR, 300.0, ONE_RUN / 2),
            found("verify", "new", 600.0, Duration::ZERO),
            // Groups are not measured together.
            found("issue", "old", 600.0, ONE_RUN * 9),
        ]);
        assert_eq!(groups[0].1, [row(FLOOR, 300.0), row("new", 600.0)]);
        assert_eq!(groups[1].1, [row("old", 600.0)]);
        assert_eq!(left_behind, ["verify/removed"]);
    }

    #[test]
    fn ratios_in_turns_are_better() {
        let rows = vec![row("b", 900.0), row("a", 600.0), row(FLOOR, 300.0)];
        let in_turns = BTreeMap::from([("a".to_owned(), 3.5)]);
        let group = Group::new("verify", rows, in_turns);
        let ids: Vec<_> = group.rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, [FLOOR, "b", "a"]);
        let best = [1, 2].map(|n| group.best_ratio(&group.rows[n]));
        assert_eq!(best, [Some(3.0), Some(3.5)]);
        assert_eq!(group.ratio(&group.rows[2]), Some(2.0));
    }

    #[test]
    fn without_a_floor_there_are_times_only() {
        let rows = vec![row("b", 900.0), row("a", 600.0)];
        let group = Group::new("bump", rows, BTreeMap::new());
        assert_eq!(group.rows[0].id, "a");
        assert_eq!(group.best_ratio(&group.rows[0]), None);
    }
}
