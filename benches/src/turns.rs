//! Ratios measured in turns: on a shared machine a busy neighbour then slows both sides, and
//! not the one that criterion has its turn for.

use std::{collections::BTreeMap, fs, io, time::Duration};

use crate::{Row, criterion_directory};

const TURN: Duration = Duration::from_millis(1);
/// Every row has its turns in so many visits, spread over the time that all rows take: a
/// neighbour who slows down some instructions and not others, as on the other half of a core,
/// then comes and goes for all rows alike.
const VISITS: usize = 20;
const TURNS_OF_A_VISIT: usize = 50;
/// A visit begins with this, which is not counted: it fills caches again that others have used.
const WARM_UP: Duration = Duration::from_millis(20);
/// This part of a turn comes before it and is not counted, for the same reason.
const NOT_COUNTED: u64 = 8;

/// The file beside criterion's own of a group in which `results` finds the medians of its rows.
pub const RATIOS: &str = "in-turns.json";

/// Prints what each of the rows takes in terms of the floor, and keeps it.
///
/// # Panics
///
/// If it cannot be kept.
pub fn measure_in_turns(group: &str, floor: &mut dyn Row, rows: &mut [Box<dyn Row>]) {
    let mut ratios = vec![Vec::new(); rows.len()];
    for _ in 0..VISITS {
        for (row, ratios) in rows.iter_mut().zip(&mut ratios) {
            ratios.extend(visit(floor, &mut **row));
        }
    }
    println!("× {}, measured in turns of a millisecond:", floor.id());
    println!("  {:<40} {:>8} {:>8} {:>8}", "", "10 %", "median", "90 %");
    let mut medians = BTreeMap::from([(floor.id().to_owned(), 1.0)]);
    for (row, mut ratios) in rows.iter().zip(ratios) {
        ratios.sort_by(f64::total_cmp);
        let [low, median, high] = [0.1, 0.5, 0.9].map(|of| quantile(&ratios, of));
        println!("  {:<40} {low:>8.2} {median:>8.2} {high:>8.2}", row.id());
        medians.insert(row.id().to_owned(), median);
    }
    keep(group, &medians).expect("the target directory can be written to");
}

fn keep(group: &str, medians: &BTreeMap<String, f64>) -> io::Result<()> {
    let directory = criterion_directory().join(group);
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(RATIOS), serde_json::to_vec_pretty(medians)?)
}

fn visit(floor: &mut dyn Row, row: &mut dyn Row) -> Vec<f64> {
    let (floor_times, row_times) = (calls_of_a_turn(floor), calls_of_a_turn(row));
    let ratios = (0..TURNS_OF_A_VISIT).map(|_| {
        let floor = turn(floor, floor_times);
        turn(row, row_times) / floor
    });
    ratios.collect()
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
        if took >= WARM_UP {
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
        for ratio in visit(&mut floor, &mut slow) {
            assert!((ratio - 10.0).abs() < 1e-6, "{ratio}");
        }
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
