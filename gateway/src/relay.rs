//! The operations that a gateway verified, for a node that lost its disk: `GET /v1/checkpoint`
//! and `GET /v1/feed`, as a node has them, read from the folder. Whoever asks checks everything.

use crate::folder::{ENTRY, HEADER, MAGIC_AFTER};
use crate::{Gateway, limits};
use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use muster_api::{Feed, Problem, limits as api};
use muster_identity::cbor::Encode as _;
use muster_ledger::Checkpoint;
use serde::Deserialize;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Semaphore;

/// The folder, opened for reading only beside the follower that writes it.
pub(crate) struct Relay {
    dir: PathBuf,
    turns: Semaphore,
    /// Where the last page ended: the log's first entry, number of entries, place in the file.
    /// Verified entries never move, so whoever reads on need not begin at the front.
    mark: Mutex<Option<(u64, u64, u64)>>,
}

impl Relay {
    pub(crate) fn new(dir: &Path) -> Self {
        let turns = Semaphore::new(limits::RELAYS);
        Self { dir: dir.to_owned(), turns, mark: Mutex::default() }
    }

    /// The note of the last verified head. Read before the entries, which only grow beyond it.
    fn note(&self) -> Result<String, Problem> {
        match fs::read_to_string(self.dir.join("checkpoint")) {
            Ok(note) => Ok(note),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Problem::new(503, "no-head", "this gateway has not verified a head yet"))
            }
            Err(error) => Err(folder(&error)),
        }
    }

    fn feed(&self, from: u64) -> Result<Feed, Problem> {
        let note = self.note()?;
        let size = Checkpoint::parse(&note).map_err(|e| folder(&e))?.head().size;
        if from > size {
            let title = format!("this gateway has {size} entries, you ask for what follows {from}");
            return Err(Problem::new(409, "ahead", title).cure("ask another, or a node"));
        }
        let entries = self.entries(from, size).map_err(|e| folder(&e))?.map_err(before)?;
        Ok(Feed { from, entries, checkpoint: note })
    }

    /// A page of entries below `size`; or the first entry that there is, if that is later: a gateway
    /// that began with a snapshot never saw those before.
    fn entries(&self, from: u64, size: u64) -> io::Result<Result<Vec<Vec<u8>>, u64>> {
        let mut log = BufReader::new(File::open(self.dir.join("operations.log"))?);
        let mut header = [0; HEADER as usize];
        log.read_exact(&mut header)?;
        let (mut base, mut place) = ([0; 8], HEADER);
        if header[..8] == *MAGIC_AFTER {
            log.read_exact(&mut base)?;
            place += 8;
        }
        let base = u64::from_be_bytes(base);
        if from < base {
            return Ok(Err(base));
        }
        let mut index = base;
        let mark = *self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, read, end)) = mark.filter(|mark| mark.0 == base && mark.1 <= from) {
            (index, place) = (read, end);
        }
        log.seek(SeekFrom::Start(place))?;
        let until = size.min(from + api::FEED_ENTRIES);
        let mut entries = Vec::new();
        while index < until {
            let mut prefix = [0; 4];
            log.read_exact(&mut prefix)?;
            let length = u32::from_be_bytes(prefix);
            if length > ENTRY {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an entry too long"));
            }
            if index < from {
                log.seek_relative(i64::from(length))?;
            } else {
                let mut entry = vec![0; length as usize];
                log.read_exact(&mut entry)?;
                entries.push(entry);
            }
            index += 1;
            place += 4 + u64::from(length);
        }
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner) = Some((base, index, place));
        Ok(Ok(entries))
    }
}

fn before(base: u64) -> Problem {
    let title = format!("this gateway began with a snapshot and has no entries before {base}");
    Problem::new(404, "not-kept", title).cure("ask a gateway that followed from the genesis")
}

/// What the disk says is for the operator's log, not for whoever asked.
fn folder(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "the folder cannot be read for a node that asks");
    Problem::new(500, "folder", "the gateway's folder cannot be read")
}

/// The two routes.
pub(crate) fn routes() -> Router<Gateway> {
    Router::new().route("/v1/checkpoint", get(checkpoint)).route("/v1/feed", get(feed))
}

async fn checkpoint(State(gateway): State<Gateway>) -> Response<Body> {
    let relayed = read(gateway, |relay| relay.note()).await;
    answer(relayed.map(|note| ("text/plain; charset=utf-8", note.into_bytes())))
}

#[derive(Deserialize)]
struct FeedQuery {
    #[serde(default)]
    from: u64,
}

async fn feed(State(gateway): State<Gateway>, Query(query): Query<FeedQuery>) -> Response<Body> {
    let relayed = read(gateway, move |relay| relay.feed(query.from)).await;
    answer(relayed.map(|feed| ("application/cbor", feed.to_cbor())))
}

/// Reads the disk beside the threads that answer, a few at a time.
async fn read<T: Send + 'static>(
    gateway: Gateway,
    what: impl FnOnce(&Relay) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let busy = || Problem::new(503, "busy", "others are reading the log").cure("try again later");
    let _turn = gateway.0.relay.turns.try_acquire().map_err(|_| busy())?;
    let reader = gateway.clone();
    let read = tokio::task::spawn_blocking(move || what(&reader.0.relay)).await;
    read.map_err(|_| Problem::new(500, "internal", "the gateway made a mistake"))?
}

fn answer(relayed: Result<(&'static str, Vec<u8>), Problem>) -> Response<Body> {
    match relayed {
        Ok((kind, body)) => (StatusCode::OK, [(header::CONTENT_TYPE, kind)], body).into_response(),
        Err(refused) => crate::sidecar::problem(&refused),
    }
}
