//! Ratios measured in turns: on a shared machine a busy neighbour then slows both sides, and
//! not the one that criterion has its turn for.

use std::{collections::BTreeMap, fs, io, time::Duration};

use crate::{Row, criterion_directory};

const TURN: Duration = Duration::from_millis(1);
const ROUNDS: usize = 1000;
/// This part of a turn comes before it and is not counted: it brings back into the caches what
/// the other side has driven out.
const NOT_COUNTED: u64 = 8;

/// The file beside criterion's own of a group in which `results` finds the medians of its rows.
pub const RATIOS: &str = "in-turns.json";

/// Prints what each of the rows takes in terms of the floor, and keeps it.
///
/// # Panics
///
/// If it cannot be kept.
pub fn measure_in_turns(group: &str, floor: &mut dyn Row, rows: &mut [Box<dyn Row>]) {
    println!("× {}, measured in turns of a millisecond:", floor.id());
    let mut medians = BTreeMap::from([(floor.id().to_owned(), 1.0)]);
    for row in rows {
        let ratios = ratios(floor, &mut **row);
        let median = quantile(&ratios, 0.5);
        println!(
            "  {:<40} median {median:>7.2}   90 % below {:>7.2}",
            row.id(),
            quantile(&ratios, 0.9)
        );
        medians.insert(row.id().to_owned(), median);
    }
    keep(group, &medians).expect("the target directory can be written to");
}

fn keep(group: &str, medians: &BTreeMap<String, f64>) -> io::Result<()> {
    let directory = criterion_directory().join(group);
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(RATIOS), serde_json::to_vec_pretty(medians)?)
}

/// In ascending order.
fn ratios(floor: &mut dyn Row, row: &mut dyn Row) -> Vec<f64> {
    let (floor_times, row_times) = (calls_of_a_turn(floor), calls_of_a_turn(row));
    let mut ratios: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let floor = turn(floor, floor_times);
            turn(row, row_times) / floor
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios
}

/// Seconds a call.
fn turn(row: &mut dyn Row, times: u64) -> f64 {
    row.run(times.div_ceil(NOT_COUNTED));
    row.run(times).as_secs_f64() / times as f64
}

fn calls_of_a_turn(row: &mut dyn Row) -> u64 {
    let mut times = 1;
    loop {
        let took = row.run(times);
        if took >= TURN {
            return (times as f64 * TURN.div_duration_f64(took)).ceil() as u64;
        }
        times *= 2;
    }
}

/// Of numbers in ascending order.
fn quantile(sorted: &[f64], of: f64) -> f64 {
    sorted[(sorted.len() as f64 * of) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes as long as it says.
    struct Pretended(Duration);

    impl Row for Pretended {
        fn id(&self) -> &str {
            "pretended"
        }

        fn run(&mut self, times: u64) -> Duration {
            self.0 * u32::try_from(times).expect("few")
        }
    }

    #[test]
    fn ratios_are_of_single_calls() {
        let mut floor = Pretended(Duration::from_nanos(300));
        let mut slow = Pretended(Duration::from_micros(3));
        let ratios = ratios(&mut floor, &mut slow);
        assert!((quantile(&ratios, 0.5) - 10.0).abs() < 1e-6);
    }

    #[test]
    fn a_turn_has_at_least_one_call() {
        assert_eq!(calls_of_a_turn(&mut Pretended(Duration::from_secs(1))), 1);
        let fast = calls_of_a_turn(&mut Pretended(Duration::from_nanos(250)));
        assert_eq!(fast, 4000);
    }

    #[test]
    fn quantiles_are_of_the_numbers() {
        let numbers: Vec<_> = (0..10).map(f64::from).collect();
        assert_eq!(
            (quantile(&numbers, 0.5), quantile(&numbers, 0.9)),
            (5.0, 9.0)
        );
    }
}
