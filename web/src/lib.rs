//! The console: server-rendered pages, and a few small modules for the browser.
//!
//! The server holds no key of a person. It builds operations as bytes; the browser decodes them
//! again, shows them in words, signs them with a key that no script can read out, and sends them
//! back. One page is one module here and one template.

mod act;
mod assets;
mod chart;
mod csv;
mod failure;
mod frame;
mod guard;
mod icons;
mod import;
mod invite;
mod join;
mod live;
mod pages;
mod people;
mod session;
mod sign_in;

pub use failure::Failure;
pub use guard::{CONTENT_SECURITY_POLICY, Origins};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use data_encoding::BASE64URL_NOPAD;
use import::Imports;
use muster_api::{Host, Problem};
use muster_identity::Did;
use muster_ledger::{Network, OrganisationRecord, View as _};
use muster_registry::{Act, Reader, Reading, Registry};
use people::Book;
use session::{Session, Sessions};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use zeroize::Zeroizing;

/// The note in which people are kept.
const PEOPLE: &str = "people";

/// The console of one node.
#[derive(Clone)]
pub struct Console(Arc<Inner>);

struct Inner {
    registry: Registry,
    host: Arc<dyn Host>,
    network: Network,
    origins: Origins,
    sessions: Mutex<Sessions>,
    book: tokio::sync::Mutex<Book>,
    imports: OnceLock<Arc<Imports>>,
    /// Set where it is not the one that began the network.
    organisation: OnceLock<Did>,
}

impl Console {
    /// The console of a node that is reached under these origins.
    pub async fn open(
        registry: Registry,
        host: Arc<dyn Host>,
        origins: Origins,
    ) -> Result<Self, Problem> {
        let network = registry.genesis().network();
        let book = match registry.note(PEOPLE).await? {
            None => Book::default(),
            Some(body) => serde_json::from_slice(&body).map_err(|e| {
                Problem::new(500, "corrupt", format!("the note of people is damaged: {e}"))
            })?,
        };
        let (sessions, book) = (Mutex::default(), tokio::sync::Mutex::new(book));
        let imports = OnceLock::new();
        let organisation = OnceLock::new();
        let inner =
            Inner { registry, host, network, origins, sessions, book, imports, organisation };
        Ok(Self(Arc::new(inner)))
    }

    /// The console of an organisation that joined the network, not of the one that began it.
    pub fn of(self, organisation: Did) -> Self {
        let _ = self.0.organisation.set(organisation);
        self
    }

    /// Whose node it is.
    pub(crate) fn organisation(&self) -> Did {
        let began = || self.registry().genesis().organisation_did();
        self.0.organisation.get().copied().unwrap_or_else(began)
    }

    /// Imports manifests, too. They lie in this folder, as private as the node's own, while they
    /// are looked at; what lies there already is thrown away. Serial numbers are committed to under
    /// the organisation's directory secret: without it, pages say how to import instead.
    pub fn imports_in(
        self,
        dir: PathBuf,
        directory_secret: Option<Zeroizing<[u8; 32]>>,
    ) -> std::io::Result<Self> {
        let imports = Imports::open(dir, directory_secret)?;
        let host = self.host();
        import::keep_swept(&imports, move || host.now().0);
        let _ = self.0.imports.set(imports);
        Ok(self)
    }

    /// Its routes.
    pub fn routes(&self) -> Router {
        Router::new()
            .merge(pages::routes())
            .merge(join::routes())
            .merge(sign_in::routes())
            .merge(act::routes())
            .merge(import::routes())
            .route("/events", get(live::events))
            .route("/assets/{version}/{*name}", get(assets::asset))
            .fallback(pages::nowhere)
            .layer(from_fn_with_state(self.clone(), guard::guard))
            .with_state(self.clone())
    }

    /// What other programs than browsers ask: invitations of the command line.
    pub fn api_routes(&self) -> Router {
        invite::routes().with_state(self.clone())
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The private rows of an organisation.
    pub(crate) fn read_as(&self, organisation: Did) -> Reading<'_> {
        self.registry().read_as(Reader::Organisation(organisation))
    }

    pub(crate) fn network(&self) -> Network {
        self.0.network
    }

    pub(crate) fn origins(&self) -> &Origins {
        &self.0.origins
    }

    pub(crate) fn imports(&self) -> Option<&Arc<Imports>> {
        self.0.imports.get()
    }

    pub(crate) fn host(&self) -> Arc<dyn Host> {
        self.0.host.clone()
    }

    pub(crate) fn now(&self) -> u64 {
        self.0.host.now().0
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn book(&self) -> tokio::sync::MutexGuard<'_, Book> {
        self.0.book.lock().await
    }

    /// Changes the book of people, durably or not at all.
    pub(crate) async fn change<T>(
        &self,
        change: impl FnOnce(&mut Book) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let mut book = self.book().await;
        let mut next = book.clone();
        let done = change(&mut next)?;
        let body = serde_json::to_vec(&next).expect("our own types serialise");
        self.registry().keep_note(PEOPLE, body).await?;
        *book = next;
        Ok(done)
    }

    /// Says to open pages of an organisation that its people changed.
    pub(crate) fn tell_people(&self, organisation: Option<Did>) {
        if let Some(organisation) = organisation {
            self.registry().tell_people(&organisation);
        }
    }

    /// An organisation under the newest head.
    pub(crate) fn organisation_record(
        &self,
        did: &Did,
    ) -> Result<Option<OrganisationRecord>, Problem> {
        Ok(self.registry().chain()?.state().organisation(did)?)
    }

    /// Writes down what somebody did here.
    pub(crate) async fn note_act(&self, session: &Session, act: &str, about: impl Into<String>) {
        let who = session.key.to_multikey();
        let organisation = session.organisation;
        let act = Act { time: self.now(), organisation, who, act: act.into(), about: about.into() };
        if let Err(problem) = self.registry().add_act(act).await {
            tracing::warn!("an act was not written down: {problem}");
        }
    }

    /// Thirty-two random bytes as text.
    pub(crate) fn secret(&self) -> [u8; 32] {
        let mut secret = [0; 32];
        secret[..16].copy_from_slice(&self.0.host.random());
        secret[16..].copy_from_slice(&self.0.host.random());
        secret
    }

    /// A random identifier.
    pub(crate) fn id(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0.host.random())
    }
}
