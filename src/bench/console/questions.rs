//! What is asked in process: searches, counts, effects.

use super::{Console, PAGE, any, lot, model};
use crate::bench::manifest::serial;
use crate::demo::did_of;
use anyhow::{Context as _, Result, ensure};
use data_encoding::HEXLOWER;
use muster_identity::Signer as _;
use muster_ledger::{BatchId, Status, View as _};
use muster_registry::{DeviceSearch, LogFilter, Subject};
use std::time::{Duration, Instant};

/// Questions before the clock starts.
const WARM_UP: u64 = 50;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Serial,
    Serials,
    Did,
    Key,
    WholeKey,
    LotText,
    Lot,
    All,
    Deep,
    Model,
    Revoked,
    Held,
    ActiveOfModel,
    SerialsOfLot,
    SerialsRevoked,
    KeysOfModelRevoked,
    Counts,
    Log,
    Effect,
}

pub(super) const KINDS: &[Kind] = &[
    Kind::Serial,
    Kind::Serials,
    Kind::Did,
    Kind::Key,
    Kind::WholeKey,
    Kind::LotText,
    Kind::Lot,
    Kind::All,
    Kind::Deep,
    Kind::Model,
    Kind::Revoked,
    Kind::Held,
    Kind::ActiveOfModel,
    Kind::SerialsOfLot,
    Kind::SerialsRevoked,
    Kind::KeysOfModelRevoked,
    Kind::Counts,
    Kind::Log,
    Kind::Effect,
];

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Serial => "a whole serial number",
            Self::Serials => "a part of a serial number",
            Self::Did => "a part of a DID",
            Self::Key => "a part of a key",
            Self::WholeKey => "a whole key",
            Self::LotText => "a lot as text",
            Self::Lot => "a lot",
            Self::All => "no condition, first page",
            Self::Deep => "no condition, a page in the middle",
            Self::Model => "a model",
            Self::Revoked => "revoked ones",
            Self::Held => "held ones of a model",
            Self::ActiveOfModel => "active ones of a model",
            Self::SerialsOfLot => "a part of a serial number in a lot",
            Self::SerialsRevoked => "a part of a serial number, revoked",
            Self::KeysOfModelRevoked => "a part of a key, revoked, of a model",
            Self::Counts => "counts",
            Self::Log => "a page of the log",
            Self::Effect => "the effect on 100 devices",
        }
    }

    pub(super) fn is_a_page(self) -> bool {
        !matches!(self, Self::Serial | Self::WholeKey | Self::Counts)
    }
}

impl Console {
    /// Asks so many questions of a kind: milliseconds of each answer, and rows of a page on average.
    pub(super) async fn ask(&self, kind: Kind, questions: u64) -> Result<(Vec<f64>, f64)> {
        let (mut times, mut rows) = (Vec::new(), 0);
        for question in 0..WARM_UP + questions {
            let number = any(self.devices);
            let (took, found) = self.answer(kind, number).await?;
            if question >= WARM_UP {
                times.push(took.as_secs_f64() * 1_000.0);
                rows += found;
            }
        }
        Ok((times, rows as f64 / questions as f64))
    }

    async fn answer(&self, kind: Kind, number: u64) -> Result<(Duration, usize)> {
        let registry = &self.registry;
        let start = Instant::now();
        match kind {
            Kind::Counts => {
                let counts = registry.overview_counts().await?;
                ensure!(counts.devices.all() == self.devices, "not all devices were counted");
                Ok((start.elapsed(), 1))
            }
            Kind::Log => {
                let page = registry.log_page(None, &LogFilter::default(), PAGE).await?;
                Ok((start.elapsed(), page.rows.len()))
            }
            Kind::Effect => {
                let did = |n: u64| {
                    let number = 1 + (number + n * 7_919) % self.devices;
                    Ok(Subject::Device(did_of(&self.key(number)?)))
                };
                let targets = (0..PAGE).map(did).collect::<Result<Vec<_>>>()?;
                let start = Instant::now();
                let effect = registry.effect(&targets).await?;
                Ok((start.elapsed(), effect.devices as usize))
            }
            _ => {
                let search = self.search(kind, number)?;
                let start = Instant::now();
                let page = registry.find_devices(&search).await?;
                Ok((start.elapsed(), page.rows.len()))
            }
        }
    }

    fn search(&self, kind: Kind, number: u64) -> Result<DeviceSearch> {
        let cut = |text: String, at: usize| Some(text.chars().take(at).collect::<String>());
        let whole = serial("SN", number);
        let all =
            DeviceSearch { organisation: Some(self.owner), limit: PAGE, ..DeviceSearch::default() };
        let did = || Ok::<_, anyhow::Error>(did_of(&self.key(number)?).to_string());
        let key = || Ok::<_, anyhow::Error>(self.key(number)?.public_key().to_multikey());
        let a_model = Some(model(number));
        Ok(match kind {
            Kind::Serial => DeviceSearch { text: Some(whole), ..all },
            Kind::Serials => DeviceSearch { text: cut(whole, 3 + (number % 6) as usize), ..all },
            Kind::Did => {
                let at = "did:muster:zQm".len() + 1 + (number % 5) as usize;
                DeviceSearch { text: cut(did()?, at), ..all }
            }
            Kind::Key => DeviceSearch { text: cut(key()?, 5 + (number % 5) as usize), ..all },
            Kind::WholeKey => DeviceSearch { text: Some(key()?), ..all },
            Kind::LotText => DeviceSearch { text: Some(lot(number)), ..all },
            Kind::Lot => DeviceSearch { lot: Some(lot(number)), ..all },
            Kind::All => all,
            Kind::Deep => {
                let batch = self.batches[number as usize % self.batches.len()];
                DeviceSearch { after: Some(self.place_behind(batch, number)?), ..all }
            }
            Kind::Model => DeviceSearch { model: a_model, ..all },
            Kind::Revoked => DeviceSearch { state: Some(Status::Revoked), ..all },
            Kind::Held => DeviceSearch { state: Some(Status::Held), model: a_model, ..all },
            Kind::ActiveOfModel => {
                DeviceSearch { state: Some(Status::Active), model: a_model, ..all }
            }
            Kind::SerialsOfLot => {
                DeviceSearch { text: cut(whole, 5), lot: Some(lot(number)), ..all }
            }
            Kind::SerialsRevoked => {
                DeviceSearch { text: cut(whole, 5), state: Some(Status::Revoked), ..all }
            }
            Kind::KeysOfModelRevoked => {
                let (text, state) = (cut(key()?, 5), Some(Status::Revoked));
                DeviceSearch { text, state, model: a_model, ..all }
            }
            // Asked without a search.
            Kind::Counts | Kind::Log | Kind::Effect => all,
        })
    }
    /// As a page of an earlier search would have ended: behind this device.
    pub(super) fn place_behind(&self, batch: BatchId, number: u64) -> Result<String> {
        let mut digest = *did_of(&self.key(number)?).digest();
        // Half-way through the batch at most: something is always behind it.
        digest[0] /= 2;
        let name = HEXLOWER.encode(&digest[..16]);
        let view = self.registry.chain()?;
        let entry = view.state().batch(&batch)?.context("a batch")?.entry;
        Ok(format!("b.{entry}.{name}"))
    }
}
