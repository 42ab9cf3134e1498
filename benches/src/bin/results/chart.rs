//! The chart `verify.svg`: a bar of each row, on a logarithmic scale of multiples of the floor.
//!
//! Bars begin at 1 ×, for a logarithmic scale has no zero: what is faster than one HMAC goes to
//! the left, what is slower to the right.

use std::fmt::Write;

use crate::{
    estimates::{Group, Row},
    machine::Machine,
    report::times,
};

const WIDTH: f64 = 880.0;
const MARGIN: f64 = 20.0;
/// Of a row, and of its bar.
const PITCH: f64 = 27.0;
const BAR: f64 = 15.0;
/// Above the first row, and below the last.
const HEAD: f64 = 92.0;
const FOOT: f64 = 66.0;
/// An estimate that suits every font: text is never cut.
const CHARACTER: f64 = 7.9;
const SMALL_CHARACTER: f64 = 6.8;
/// For the number at the end of a bar.
const NUMBER: f64 = 56.0;

const STYLE: &str = "
    .page { fill: #ffffff; stroke: #d1d9e0; }
    text { fill: #1f2328; font: 13px system-ui, -apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif; }
    .title { font-size: 16px; font-weight: 600; }
    .side, .tick { fill: #59636e; font-size: 12px; }
    .ours { fill: #0969da; }
    .other { fill: #9aa4af; }
    text.name-of-ours { fill: #0550ae; font-weight: 600; }
    .number { stroke: #ffffff; stroke-width: 4px; paint-order: stroke; }
    .grid { stroke: #e4e8ec; }
    .one { stroke: #59636e; stroke-width: 1.5; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; stroke: #3d444d; }
      text { fill: #f0f6fc; }
      .side, .tick { fill: #9198a1; }
      .ours { fill: #4493f8; }
      .other { fill: #656c76; }
      text.name-of-ours { fill: #79c0ff; }
      .number { stroke: #0d1117; }
      .grid { stroke: #262c34; }
      .one { stroke: #9198a1; }
    }
";

/// `None` if the group has no floor.
pub(crate) fn svg(group: &Group, machine: &Machine) -> Option<String> {
    let bars = group.rows.iter().map(|row| {
        let ratio = group.best_ratio(row)?;
        Some((row, ratio))
    });
    let bars: Vec<_> = bars.collect::<Option<_>>()?;
    let scale = Scale::of(&bars);
    let bottom = HEAD + PITCH * bars.len() as f64;
    let height = bottom + FOOT;
    let mut svg = opening(&bars, height);
    let _ = write!(
        svg,
        "<text class=\"title\" x=\"{MARGIN}\" y=\"32\">Verifying a token, in multiples of one \
         HMAC-SHA256 over it</text>\n\
         <text class=\"side\" x=\"{MARGIN}\" y=\"53\">logarithmic scale; less is faster</text>\n"
    );
    legend(&mut svg);
    grid(&mut svg, &scale, bottom);
    for (number, (row, ratio)) in bars.iter().enumerate() {
        bar(&mut svg, &scale, number, row, *ratio);
    }
    let one = scale.x(1.0);
    let _ = write!(
        svg,
        "<line class=\"one\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\"/>\n\
         <text class=\"side\" x=\"{MARGIN}\" y=\"{:.1}\">{}</text>\n</svg>\n",
        HEAD - 6.0,
        height - 16.0,
        escape(&machine.to_string())
    );
    Some(svg)
}

/// From ratios to places.
struct Scale {
    /// Where names end.
    names: f64,
    one: f64,
    decade: f64,
    least: f64,
    most: f64,
}

impl Scale {
    fn of(bars: &[(&Row, f64)]) -> Self {
        let longest = bars.iter().map(|(row, _)| row.id.chars().count()).max();
        let names = MARGIN + longest.unwrap_or_default() as f64 * CHARACTER;
        let ratios = || bars.iter().map(|(_, ratio)| *ratio);
        let least = ratios().fold(1.0, f64::min);
        // A scale without a decade on it would have no ticks but one.
        let most = ratios().fold(10.0, f64::max);
        let room_left = if least < 1.0 { NUMBER } else { 0.0 };
        let begin = names + 10.0 + room_left;
        let decade = (WIDTH - MARGIN - NUMBER - begin) / (most / least).log10();
        Self {
            names,
            one: begin - least.log10() * decade,
            decade,
            least,
            most,
        }
    }

    fn x(&self, ratio: f64) -> f64 {
        self.one + ratio.log10() * self.decade
    }

    /// The powers of ten on the scale.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        let first = self.least.log10().ceil() as i32;
        let last = self.most.log10().floor() as i32;
        (first..=last).map(|power| 10_f64.powi(power))
    }
}

fn opening(bars: &[(&Row, f64)], height: f64) -> String {
    let said: Vec<_> = bars
        .iter()
        .map(|(row, ratio)| format!("{} {}", row.id, times(*ratio)))
        .collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title description\">\n\
         <title id=\"title\">How long it takes to verify a token</title>\n\
         <desc id=\"description\">Multiples of the time of one HMAC-SHA256: {}.</desc>\n\
         <style>{STYLE}</style>\n\
         <rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
        escape(&said.join(", ")),
        WIDTH - 1.0,
        height - 1.0
    )
}

fn legend(svg: &mut String) {
    let mut end = WIDTH - MARGIN;
    for (class, text) in [
        ("other", "others: no revocation, or a look-up"),
        ("ours", "epochkey, revocation included"),
    ] {
        let x = end - text.len() as f64 * SMALL_CHARACTER;
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"43\" width=\"11\" height=\"11\" rx=\"2\"/>\n\
             <text class=\"side\" x=\"{x:.1}\" y=\"53\">{text}</text>\n",
            x - 17.0
        );
        end = x - 36.0;
    }
}

fn grid(svg: &mut String, scale: &Scale, bottom: f64) {
    for tick in scale.ticks() {
        let x = scale.x(tick);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\"/>\n\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick} ×</text>\n",
            HEAD - 6.0,
            bottom + 17.0
        );
    }
}

fn bar(svg: &mut String, scale: &Scale, number: usize, row: &Row, ratio: f64) {
    let middle = HEAD + PITCH * (number as f64 + 0.5);
    let baseline = middle + 4.5;
    let (begin, end) = (scale.x(ratio.min(1.0)), scale.x(ratio.max(1.0)));
    let (class, name_class) = match row.is_ours() {
        true => ("ours", " class=\"name-of-ours\""),
        false => ("other", ""),
    };
    let (number_at, anchor) = match ratio {
        ..1.0 => (begin - 6.0, "end"),
        _ => (end + 6.0, "start"),
    };
    let _ = write!(
        svg,
        "<text{name_class} x=\"{:.1}\" y=\"{baseline:.1}\" text-anchor=\"end\">{}</text>\n\
         <rect class=\"{class}\" x=\"{begin:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\"/>\n\
         <text class=\"number\" x=\"{number_at:.1}\" y=\"{baseline:.1}\" text-anchor=\"{anchor}\">{}</text>\n",
        scale.names,
        escape(&row.id),
        middle - BAR / 2.0,
        (end - begin).max(1.0),
        times(ratio)
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::estimates::tests::row;

    fn chart(rows: Vec<Row>) -> Option<String> {
        let group = Group::new("verify", rows, BTreeMap::new());
        let machine = Machine {
            processor: "A <good> & \"fast\" CPU".to_owned(),
            cores: 1,
            compiler: "rustc 1".to_owned(),
            date: "2026-01-02".to_owned(),
        };
        svg(&group, &machine)
    }

    fn rows() -> Vec<Row> {
        vec![
            row("epochkey-recheck", 25.0),
            row("floor-ring-hmac", 300.0),
            row("epochkey-first-sight", 600.0),
            row("jsonwebtoken-11-denylist-in-process", 2_000.0),
            row("biscuit", 70_000.0),
        ]
    }

    /// Every element that begins ends in its turn, and nothing is left to be escaped.
    fn assert_well_formed(svg: &str) {
        let mut open = Vec::new();
        let mut rest = svg;
        while let Some((text, tag)) = rest.split_once('<') {
            assert!(!text.contains('>'), "{text}");
            for reference in text.split('&').skip(1) {
                assert!(
                    ["amp;", "lt;", "gt;", "quot;"]
                        .iter()
                        .any(|known| reference.starts_with(known)),
                    "{text}"
                );
            }
            let (tag, after) = tag.split_once('>').unwrap();
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            let name = tag
                .split(|c: char| !c.is_alphanumeric() && c != '/')
                .next()
                .unwrap();
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if tag.ends_with('/') => {}
                None => open.push(name),
            }
            rest = after;
        }
        assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
    }

    #[test]
    fn it_is_well_formed_and_says_everything() {
        let svg = chart(rows()).unwrap();
        assert_well_formed(&svg);
        for said in [
            "<title",
            "<desc",
            "prefers-color-scheme: dark",
            "A &lt;good&gt; &amp;",
        ] {
            assert!(svg.contains(said), "{said}");
        }
        for row in rows() {
            assert!(svg.contains(&format!(">{}</text>", row.id)), "{}", row.id);
        }
        assert!(
            svg.contains(">233</text>") && svg.contains(">0.08</text>"),
            "{svg}"
        );
        assert!(!svg.contains("<script"));
    }

    #[test]
    #[should_panic(expected = "left")]
    fn what_is_not_well_formed_is_noticed() {
        assert_well_formed("<svg><text>x</svg></text>");
    }

    #[test]
    fn without_a_floor_there_is_no_chart() {
        assert!(chart(vec![row("biscuit", 70_000.0)]).is_none());
    }

    #[test]
    fn places_are_logarithmic_and_fit() {
        let rows = rows();
        let bars: Vec<_> = rows.iter().map(|row| (row, row.median / 300.0)).collect();
        let scale = Scale::of(&bars);
        let decade = scale.x(10.0) - scale.x(1.0);
        assert!((scale.x(100.0) - scale.x(10.0) - decade).abs() < 1e-9);
        assert!(
            scale.x(25.0 / 300.0) - NUMBER >= scale.names,
            "the least has room"
        );
        assert!(scale.x(70_000.0 / 300.0) + NUMBER <= WIDTH - MARGIN + 1e-9);
        let ticks: Vec<_> = scale.ticks().collect();
        assert_eq!(ticks, [0.1, 1.0, 10.0, 100.0]);
    }
}
