//! Samples, and what is told of them.

/// What one candidate was measured at, in turn with the others.
#[derive(Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn add(&mut self, nanoseconds: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a day is less than 2^53 ns")]
        self.push(nanoseconds as f64 / 1000.0);
    }

    /// The value that this part of all, from 0 to 1, do not exceed.
    pub fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let at = ((sorted.len() - 1) as f64 * part).round() as usize;
        sorted[at]
    }
}

/// One line of the table.
pub struct Row {
    pub what: String,
    pub unit: &'static str,
    /// In the order of the candidates; `None` where it cannot be measured.
    pub cells: Vec<Option<Cell>>,
}

pub struct Cell {
    pub value: f64,
    /// The first and the third quartile.
    pub quartiles: Option<(f64, f64)>,
}

impl Row {
    pub fn new(
        what: impl Into<String>,
        unit: &'static str,
        values: impl IntoIterator<Item = Option<f64>>,
    ) -> Self {
        let cells = values
            .into_iter()
            .map(|value| value.map(|value| Cell { value, quartiles: None }))
            .collect();
        Self { what: what.into(), unit, cells }
    }

    pub fn quantile(
        what: impl Into<String>,
        unit: &'static str,
        samples: &[Samples],
        part: f64,
    ) -> Self {
        Self::new(what, unit, samples.iter().map(|samples| Some(samples.quantile(part))))
    }

    pub fn median(what: impl Into<String>, unit: &'static str, samples: &[Samples]) -> Self {
        let mut row = Self::quantile(what, unit, samples, 0.5);
        for (cell, samples) in row.cells.iter_mut().zip(samples) {
            if let Some(cell) = cell {
                cell.quartiles = Some((samples.quantile(0.25), samples.quantile(0.75)));
            }
        }
        row
    }

    /// The value as a part of that of the candidate at `reference`; `None` if either is missing or
    /// the latter is zero.
    pub fn ratio(&self, at: usize, reference: usize) -> Option<f64> {
        let value = |at: usize| self.cells[at].as_ref().map(|cell| cell.value);
        Some(value(at)? / value(reference).filter(|value| *value > 0.0)?)
    }
}
