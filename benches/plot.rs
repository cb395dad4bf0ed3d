//! The plot: each measurement's ratios to the reference on a line of their own.

use std::fmt::Write;

use crate::candidates::Candidate;
use crate::statistics::Row;

const LEFT: f64 = 470.0;
const WIDTH: f64 = 500.0;
const LINE: f64 = 22.0;
const TOP: f64 = 70.0;
/// The scale ends here; what is more stands at its end, with its number.
const MOST: f64 = 2.0;
/// Told apart by people of every colour vision, on white and on black (Okabe and Ito).
const COLOURS: [&str; 7] =
    ["#d55e00", "#e69f00", "#7f7f7f", "#0072b2", "#009e73", "#cc79a7", "#56b4e9"];

const STYLE: &str = "text{font:13px \
                     sans-serif;fill:#222}.n{font-size:10px}.g{stroke:#ccc}.one{stroke:#222}.\
                     b{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#ddd}.g{stroke:#444}.\
                     one{stroke:#ddd}.b{fill:#111}}";

/// The measurements with a ratio; `reference` is the line at 1.
pub fn svg(candidates: &[Candidate], rows: &[Row], reference: usize) -> String {
    let rows: Vec<_> = rows
        .iter()
        .filter(|row| (0..candidates.len()).any(|at| row.ratio(at, reference).is_some()))
        .collect();
    let place = |ratio: f64| LEFT + ratio.min(MOST) / MOST * WIDTH;
    let lines = f64::from(u32::try_from(rows.len()).expect("a few"));
    let (width, bottom) = (LEFT + WIDTH + 150.0, TOP + lines * LINE);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} \
         {}\">\n<style>{STYLE}</style>\n<rect class=\"b\" width=\"100%\" height=\"100%\"/>\n<text \
         x=\"{LEFT}\" y=\"20\">Ratio to {}: left of the line is less</text>\n",
        bottom + 30.0,
        candidates[reference].name
    );
    for (tick, class) in [(0.0, "g"), (0.5, "g"), (1.0, "one"), (1.5, "g"), (2.0, "g")] {
        let x = place(tick);
        let _ = writeln!(
            svg,
            "<line class=\"{class}\" x1=\"{x}\" x2=\"{x}\" y1=\"{}\" y2=\"{bottom}\"/>",
            TOP - 10.0
        );
        let _ = writeln!(
            svg,
            "<text class=\"n\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
            bottom + 14.0
        );
    }
    let others: Vec<_> = (0..candidates.len()).filter(|at| *at != reference).collect();
    for (column, at) in (0_u32..).zip(&others) {
        let x = LEFT - 200.0 + f64::from(column) * 130.0;
        let colour = COLOURS[at % COLOURS.len()];
        let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"42\" r=\"5\" fill=\"{colour}\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"46\">{}</text>", x + 10.0, candidates[*at].name);
    }
    for (line, row) in (0_u32..).zip(rows) {
        let y = TOP + (f64::from(line) + 0.5) * LINE;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 12.0,
            y + 4.0,
            row.what
        );
        // The first ones last: firstmate lies on top.
        for at in others.iter().rev() {
            let Some(ratio) = row.ratio(*at, reference) else { continue };
            let colour = COLOURS[at % COLOURS.len()];
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{y}\" r=\"5\" fill=\"{colour}\"/>",
                place(ratio)
            );
        }
        let beyond =
            others.iter().filter_map(|at| row.ratio(*at, reference)).filter(|ratio| *ratio > MOST);
        let beyond: Vec<_> = beyond.map(|ratio| format!("{ratio:.1}")).collect();
        let _ = writeln!(
            svg,
            "<text class=\"n\" x=\"{}\" y=\"{}\">{}</text>",
            LEFT + WIDTH + 8.0,
            y + 4.0,
            beyond.join(" ")
        );
    }
    svg + "</svg>\n"
}
