use serde_json::{Value, json};

/// What our figure stands beside.
#[derive(Clone, Copy)]
enum Beside {
    /// Nothing: the figure is a part of another, or a further quantile.
    Nothing,
    /// The limit of this machine, measured in the same run.
    Limit(f64),
    /// What is asked of us.
    Asked(f64),
}

/// One line of a benchmark.
pub(super) struct Figure {
    name: String,
    ours: f64,
    beside: Beside,
    unit: &'static str,
    more_is_better: bool,
}

impl Figure {
    pub(super) fn new(name: impl Into<String>, ours: f64, unit: &'static str) -> Self {
        Self { name: name.into(), ours, beside: Beside::Nothing, unit, more_is_better: false }
    }

    /// Beside the limit of this machine.
    pub(super) fn limit(mut self, limit: f64) -> Self {
        self.beside = Beside::Limit(limit);
        self
    }

    /// Beside what is asked.
    pub(super) fn asked(mut self, asked: f64) -> Self {
        self.beside = Beside::Asked(asked);
        self
    }

    /// A figure that is good when it is high. By default a low one is.
    pub(super) fn more_is_better(mut self) -> Self {
        self.more_is_better = true;
        self
    }

    /// 1 is as good as what it stands beside, more is better than that.
    fn ratio(&self) -> Option<f64> {
        let (Beside::Limit(other) | Beside::Asked(other)) = self.beside else { return None };
        let ratio = if self.more_is_better { self.ours / other } else { other / self.ours };
        ratio.is_finite().then_some(ratio)
    }

    /// For scripts.
    pub(super) fn object(&self) -> Value {
        let limit = match self.beside {
            Beside::Nothing => None,
            Beside::Limit(limit) | Beside::Asked(limit) => Some(limit),
        };
        json!({
            "name": self.name, "ours": self.ours, "limit": limit, "ratio": self.ratio(),
            "unit": self.unit,
        })
    }

    /// For people.
    pub(super) fn line(&self) -> String {
        let Self { name, ours, unit, .. } = self;
        let mut line = format!("{name:<46} ours {ours:>12.3} {unit}");
        match self.beside {
            Beside::Nothing => {}
            Beside::Limit(limit) => line.push_str(&format!("   limit {limit:>12.3} {unit}")),
            Beside::Asked(asked) => line.push_str(&format!("   asked {asked:>12.3} {unit}")),
        }
        if let Some(ratio) = self.ratio() {
            line.push_str(&format!("   ratio {ratio:.2}"));
        }
        line
    }
}

/// The q-quantile of some samples; 0 if there are none.
pub(super) fn quantile(samples: &[f64], q: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = ((sorted.len() as f64 - 1.0) * q).round();
    sorted.get(place as usize).copied().unwrap_or_default()
}
