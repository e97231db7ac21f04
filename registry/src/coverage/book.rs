//! What the node knows of gateways. In memory, since each question looks at all of them.

use super::counts::Counts;
use crate::Error;
use crate::claims::Claim;
use crate::store::{GatewayRow, GatewaysSave, SeenRow, SizeRow};
use muster_api::{Problem, limits};
use muster_identity::{Acknowledgement, Did, Holder, Registration, Report, Statement};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tokio::time::Instant;

/// Organisation and name of a gateway.
pub(crate) type Name = (Did, String);

/// The gateways.
#[derive(Debug, Default)]
pub(crate) struct Book {
    posts: BTreeMap<Name, Post>,
    /// Whose key it is.
    keys: BTreeMap<(Did, Vec<u8>), String>,
    /// What is not written yet.
    changed: BTreeSet<Name>,
    gone: Vec<Name>,
    seen: Vec<SeenRow>,
    counts: Counts,
}

/// A gateway.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) registration: Registration,
    pub(crate) heard: Option<Heard>,
    /// The last report.
    pub(crate) told: Option<Heard>,
    /// First acknowledgements of sizes, ascending.
    sizes: VecDeque<SizeRow>,
    /// The greatest size that is written; none: none is, and what the store has is another's.
    saved: Option<u64>,
    allowance: Allowance,
}

/// Something a gateway said.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    token: String,
    pub(crate) statement: Statement,
    pub(crate) received: u64,
}

impl Heard {
    fn read((token, received): (String, u64)) -> Result<Self, Error> {
        let read = Acknowledgement::parse(&token);
        let statement = read.map_err(Error::damaged)?.into_statement();
        Ok(Self { token, statement, received })
    }

    fn row(&self) -> (String, u64) {
        (self.token.clone(), self.received)
    }

    pub(crate) fn report(&self) -> Option<&Report> {
        self.statement.report.as_ref()
    }
}

/// How many acknowledgements a gateway may send.
#[derive(Debug, Clone, Copy, Default)]
struct Allowance(Option<(Instant, u64)>);

impl Allowance {
    /// Takes one, if there is one.
    fn take(&mut self, now: Instant) -> bool {
        let most = limits::ACKNOWLEDGEMENTS_AT_ONCE * limits::ACKNOWLEDGEMENT_EVERY_MS;
        let left = self.0.map_or(most, |(at, left)| {
            let passed = u64::try_from(now.duration_since(at).as_millis()).unwrap_or(most);
            left.saturating_add(passed).min(most)
        });
        let after = left.checked_sub(limits::ACKNOWLEDGEMENT_EVERY_MS);
        if let Some(after) = after {
            self.0 = Some((now, after));
        }
        after.is_some()
    }
}

impl Post {
    fn new(registration: Registration) -> Self {
        let (sizes, saved) = (VecDeque::new(), None);
        let allowance = Allowance::default();
        Self { registration, heard: None, told: None, sizes, saved, allowance }
    }

    /// Its key and site, unless its registration was ended.
    pub(crate) fn holder(&self) -> Option<&Holder> {
        self.registration.registered().holder.as_ref()
    }

    fn key(&self) -> Option<Vec<u8>> {
        self.holder().map(|holder| holder.key.to_multicodec())
    }

    /// When it first acknowledged an entry, if it did and is still known; and whether it was heard
    /// of before that.
    pub(crate) fn first_beyond(&self, entry: u64) -> Option<(SizeRow, bool)> {
        let at = self.sizes.partition_point(|row| row.size <= entry);
        self.sizes.get(at).map(|row| (*row, at > 0))
    }
}

impl Book {
    /// What the store holds.
    pub(crate) fn read(rows: Vec<GatewayRow>) -> Result<Self, Error> {
        let mut book = Self::default();
        for row in rows {
            let read = Registration::parse(&row.registration).map_err(Error::damaged)?;
            let mut post = Post::new(read);
            post.heard = row.heard.map(Heard::read).transpose()?;
            post.told = row.told.map(Heard::read).transpose()?;
            post.saved = row.sizes.last().map(|row| row.size);
            post.sizes = row.sizes.into();
            if let Some(key) = post.key() {
                book.keys.insert((row.organisation, key), row.name.clone());
            }
            book.posts.insert((row.organisation, row.name), post);
        }
        Ok(book)
    }

    /// All gateways, ended ones left out.
    pub(crate) fn posts(&self) -> impl Iterator<Item = (&Name, &Post)> {
        self.posts.iter().filter(|(_, post)| post.holder().is_some())
    }

    pub(crate) fn post(&self, name: &Name) -> Option<&Post> {
        self.posts.get(name)
    }

    /// Whose key it is.
    pub(crate) fn of_key(&self, organisation: &Did, key: &[u8]) -> Option<(Name, &Post)> {
        let name = self.keys.get(&(*organisation, key.to_vec()))?;
        let name = (*organisation, name.clone());
        let post = self.posts.get(&name)?;
        Some((name, post))
    }

    /// Takes an operator's word, whose signature was checked.
    pub(crate) fn register(&mut self, said: Registration, now: u64) -> Result<Name, Problem> {
        let registered = said.registered();
        let organisation = *said.organisation();
        let name = (organisation, registered.gateway.clone());
        let new_key = registered.holder.as_ref().map(|holder| holder.key.to_multicodec());
        let known = self.posts.get(&name);
        if known.is_some_and(|post| post.registration == said) {
            return Ok(name);
        }
        if known.is_some_and(|post| post.registration.registered().made >= registered.made) {
            return Err(Problem::new(409, "older", "there is a later word about this gateway")
                .cure("sign it anew; if that is refused too, a clock is wrong"));
        }
        let (is_new, old_key) = (known.is_none(), known.and_then(Post::key));
        match &new_key {
            None if old_key.is_none() => {
                let title = format!("no gateway {} is registered here", name.1);
                return Err(Problem::new(404, "not-registered", title));
            }
            None => {}
            Some(key) => {
                if let Some((other, _)) = self.of_key(&organisation, key)
                    && other != name
                {
                    let title = format!("gateway {} has this key", other.1);
                    return Err(Problem::new(409, "key-used", title)
                        .cure("give each gateway a key of its own"));
                }
            }
        }
        if is_new {
            self.forget_ended(now);
            let of_it = self.posts.keys().filter(|(of, _)| *of == organisation).count();
            if of_it >= limits::GATEWAYS {
                let title = "the organisation has as many gateways here as may be";
                return Err(Problem::new(409, "too-many-gateways", title)
                    .cure("end registrations that are no longer needed"));
            }
        }
        match self.posts.get_mut(&name) {
            Some(post) if old_key == new_key => post.registration = said,
            // Another key is another machine: what the last one said is not its word.
            _ => drop(self.posts.insert(name.clone(), Post::new(said))),
        }
        if let Some(key) = old_key {
            self.keys.remove(&(organisation, key));
        }
        if let Some(key) = new_key {
            self.keys.insert((organisation, key), name.1.clone());
        }
        self.changed.insert(name.clone());
        Ok(name)
    }

    /// An ended registration is remembered until no older one is taken any more.
    fn forget_ended(&mut self, now: u64) {
        let over = |post: &Post| {
            let made = post.registration.registered().made;
            post.holder().is_none()
                && made.saturating_add(2 * limits::REGISTRATION_LIFETIME_MS) < now
        };
        let gone: Vec<Name> = self
            .posts
            .iter()
            .filter(|(_, post)| over(post))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.posts.remove(&name);
            self.changed.remove(&name);
            self.gone.push(name);
        }
    }

    /// Takes a gateway's word, whose signature was checked.
    pub(crate) fn hear(
        &mut self,
        name: &Name,
        token: &str,
        said: Acknowledgement,
        received: u64,
        now: Instant,
    ) -> Result<(), Problem> {
        let post =
            self.posts.get_mut(name).filter(|post| post.key().as_deref() == Some(said.key()));
        let Some(post) = post else { return Err(super::not_registered()) };
        if post.heard.as_ref().is_some_and(|heard| heard.token == token) {
            return Ok(());
        }
        if !post.allowance.take(now) {
            let title = "too many acknowledgements of one gateway";
            return Err(Problem::new(429, "too-often", title).cure("wait a second"));
        }
        let statement = said.into_statement();
        // In the order of signed heads, whatever the gateway's clock says; then of its clock.
        let order = |s: &Statement| (s.checkpoint, s.made);
        if let Some(last) = &post.heard
            && (order(&last.statement) >= order(&statement) || last.statement.size > statement.size)
        {
            let title = "the gateway said something later before";
            return Err(Problem::new(409, "older", title));
        }
        let lasted = statement.made - statement.adopted;
        if post.sizes.back().is_none_or(|row| row.size < statement.size) {
            post.sizes.push_back(SizeRow {
                size: statement.size,
                since: received.saturating_sub(lasted),
                stated: statement.adopted,
                received,
            });
            if post.sizes.len() > limits::ACKNOWLEDGED_SIZES {
                post.sizes.pop_front();
            }
        }
        for (did, time) in statement.report.iter().flat_map(|report| &report.seen) {
            let ago = statement.made.saturating_sub(*time);
            let (device, time) = (Claim::of_did(did), received.saturating_sub(ago));
            self.seen.push(SeenRow { device, time, by: name.clone() });
        }
        let heard = Heard { token: token.into(), statement, received };
        if heard.report().is_some() {
            self.counts.note(name, post.told.as_ref(), &heard);
            post.told = Some(heard.clone());
        }
        post.heard = Some(heard);
        self.changed.insert(name.clone());
        Ok(())
    }

    /// What is to be written.
    pub(crate) fn unsaved(&mut self) -> GatewaysSave {
        let row = |name: &Name| {
            let post = self.posts.get(name)?;
            let new = post.sizes.iter().filter(|row| post.saved.is_none_or(|s| row.size > s));
            Some(GatewayRow {
                organisation: name.0,
                name: name.1.clone(),
                registration: post.registration.token().into(),
                heard: post.heard.as_ref().map(Heard::row),
                told: post.told.as_ref().map(Heard::row),
                sizes: new.copied().collect(),
                least: match post.saved {
                    None => u64::MAX,
                    Some(_) => post.sizes.front().map_or(0, |row| row.size),
                },
            })
        };
        let rows = self.changed.iter().filter_map(row).collect();
        self.changed.clear();
        let (gone, seen) = (std::mem::take(&mut self.gone), std::mem::take(&mut self.seen));
        GatewaysSave { rows, gone, seen, counted: self.counts.take() }
    }

    /// It was written.
    pub(crate) fn saved(&mut self, save: &GatewaysSave) {
        for row in &save.rows {
            let name = (row.organisation, row.name.clone());
            let Some(post) = self.posts.get_mut(&name) else { continue };
            // A key that was replaced meanwhile begins anew.
            if post.registration.token() == row.registration
                && let Some(last) = row.sizes.last()
            {
                post.saved = Some(last.size);
            }
        }
    }

    /// It could not be written: the next one who writes tries again.
    pub(crate) fn not_saved(&mut self, save: GatewaysSave) {
        self.changed.extend(save.rows.into_iter().map(|row| (row.organisation, row.name)));
        self.gone.extend(save.gone);
        self.counts.put_back(save.counted);
        // What was seen is dropped: it has no other bound while the disk is full.
    }
}
