//! Where and when it was measured.

use std::{
    fmt, fs,
    process::Command,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::Result;

pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) compiler: String,
    pub(crate) date: String,
}

impl Machine {
    pub(crate) fn this(date: Option<String>) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let compiler = Command::new("rustc").arg("--version").output()?;
        let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Ok(Self {
            processor: processor(&information)
                .unwrap_or("an unknown processor")
                .to_owned(),
            cores: thread::available_parallelism()?.get(),
            compiler: String::from_utf8(compiler.stdout)?.trim().to_owned(),
            date: date.unwrap_or_else(|| civil_date(now.as_secs() / 86400)),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            processor,
            cores,
            compiler,
            date,
        } = self;
        let s = if *cores == 1 { "" } else { "s" };
        write!(f, "{processor}, {cores} core{s}, {compiler}, {date}")
    }
}

fn processor(information: &str) -> Option<&str> {
    let line = information
        .lines()
        .find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

/// The date of a day after 1970-01-01, in UTC.
fn civil_date(days: u64) -> String {
    // Years that begin in March have the leap day at their end, in eras of 400 years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = match month {
        0..10 => (month + 3, 0),
        _ => (month - 9, 1),
    };
    let year = era * 400 + year + next_year;
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (days, date) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_513, "2026-03-01"),
            (20_818, "2026-12-31"),
            (20_819, "2027-01-01"),
        ] {
            assert_eq!(civil_date(days), date, "{days}");
        }
    }

    #[test]
    fn a_processor_has_a_name() {
        let information = "processor\t: 0\nmodel name\t: Some CPU: 3 GHz\nflags\t: a b\n";
        assert_eq!(processor(information), Some("Some CPU: 3 GHz"));
        assert_eq!(processor("nothing"), None);
    }
}
