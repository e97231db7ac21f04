use crate::claims::Claim;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What an operation on its way into a block holds on to: uploads that nobody may change, keys
/// that nobody else may bring.
#[derive(Debug, Default)]
pub(crate) struct Reservations(Mutex<Sets>);

#[derive(Debug, Default)]
struct Sets {
    uploads: BTreeSet<u64>,
    keys: BTreeSet<Claim>,
}

/// Holds a reservation until it is dropped.
pub(crate) struct Reserved {
    all: Arc<Reservations>,
    upload: Option<u64>,
    keys: Vec<Claim>,
}

impl Reservations {
    fn with<T>(&self, f: impl FnOnce(&mut Sets) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reserves an upload; `None`: another operation holds it.
    pub(crate) fn upload(self: &Arc<Self>, number: u64) -> Option<Reserved> {
        self.with(|sets| sets.uploads.insert(number)).then(|| Reserved {
            all: self.clone(),
            upload: Some(number),
            keys: Vec::new(),
        })
    }

    /// Reserves keys that an operation brings. Two operations of one block never bring the same:
    /// the state refuses the second.
    pub(crate) fn keys(self: &Arc<Self>, keys: &[Claim]) -> Reserved {
        self.with(|sets| sets.keys.extend(keys));
        Reserved { all: self.clone(), upload: None, keys: keys.to_vec() }
    }

    /// Whether an upload is on its way into a block.
    pub(crate) fn has_upload(&self, number: u64) -> bool {
        self.with(|sets| sets.uploads.contains(&number))
    }

    /// Whether any key is.
    pub(crate) fn any_key(&self) -> bool {
        self.with(|sets| !sets.keys.is_empty())
    }

    /// Whether this key is.
    pub(crate) fn has_key(&self, claim: &Claim) -> bool {
        self.with(|sets| sets.keys.contains(claim))
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let (upload, keys) = (self.upload, std::mem::take(&mut self.keys));
        self.all.with(|sets| {
            if let Some(number) = upload {
                sets.uploads.remove(&number);
            }
            for key in &keys {
                sets.keys.remove(key);
            }
        });
    }
}
