//! A folder for a network that others began: of a node alone, or of an organisation that asks to be
//! admitted.

use super::{OrganisationKeys, Passes, check_label};
use crate::begun;
use crate::cli::Init;
use crate::commands::Session;
use crate::consortium::{peer_id, peer_key};
use crate::home::read_genesis;
use crate::host::new_key;
use anyhow::{Context as _, Result};
use muster_identity::{Algorithm, Did, SecretKey, Signer as _};
use muster_ledger::{Admission, Genesis, NewKey};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// The request of an organisation, in its folder.
pub(crate) const REQUEST: &str = "admission.cbor";

pub(super) fn run(session: &Session, arg: &Init, file: &Path) -> Result<ExitCode> {
    let genesis = read_genesis(file)?;
    genesis.check().with_context(|| file.display().to_string())?;
    match &arg.org {
        Some(label) => organisation(session, arg, &genesis, label),
        None => node(session, arg, &genesis),
    }
}

/// A node without an organisation: it follows, and takes operations of whoever reaches it.
fn node(session: &Session, arg: &Init, genesis: &Genesis) -> Result<ExitCode> {
    let home = &session.home;
    let passes = Passes { organisation: None, node: Passes::of_node(arg)? };
    let key = new_key(Algorithm::Ed25519);
    home.create()?;
    home.write_key("node/node.pem", &key, passes.seals().node)?;
    finish(session, genesis)?;
    told(session, genesis, &key, None)
}

fn organisation(session: &Session, arg: &Init, genesis: &Genesis, label: &str) -> Result<ExitCode> {
    check_label("--org", label)?;
    let home = &session.home;
    let passes = Passes::ask(session, arg)?;
    let keys = OrganisationKeys::make();
    let admission = admission(genesis, &keys, label)?;
    home.create()?;
    keys.write(home, passes.seals())?;
    home.write_organisation(&admission.did())?;
    home.write_request(REQUEST, &admission)?;
    finish(session, genesis)?;
    passes.warn(session, arg);
    told(session, genesis, keys.node(), Some((admission.did(), label)))
}

/// What the members put into a proposal: every key signs that it wants to join.
fn admission(genesis: &Genesis, keys: &OrganisationKeys, label: &str) -> Result<Admission> {
    let (network, inception) = (genesis.network(), keys.inception());
    let did = Did::of(&inception);
    let mut first = Vec::new();
    for made in &keys.0 {
        let key = made.key.public_key();
        let message = NewKey::message(&network, &did, Admission::SEQ, &key);
        first.push((NewKey { key, proof: made.key.sign(&message)? }, made.can));
    }
    Ok(Admission::sign(&network, inception, label.to_owned(), first, keys.root())?)
}

fn finish(session: &Session, genesis: &Genesis) -> Result<()> {
    let home = &session.home;
    peer_key(home)?;
    home.write_genesis(genesis)?;
    begun::mark_new(home)?;
    home.seal()
}

fn told(
    session: &Session,
    genesis: &Genesis,
    node: &SecretKey,
    organisation: Option<(Did, &str)>,
) -> Result<ExitCode> {
    let home = &session.home;
    let (dir, network) = (home.dir().display(), genesis.network());
    let peer = peer_id(&peer_key(home)?)?;
    let validator = node.public_key().to_multikey();
    let request = organisation.map(|_| home.path(REQUEST).display().to_string());
    let serve = "muster serve --consortium-peer HOST:PORT";
    let mut words = format!("A folder of network {network}, in {dir}/\n");
    match organisation {
        None => words.push_str(&format!(
            "peer          {peer}\n\
             \n\
             node/node.pem       what the node would sign with; stays with the node\n\
             node/peer.key       by it other nodes know this one; stays with the node\n\
             \n\
             Next: {serve}\n\
             with the address of a node that knows the network. This one will be an access node."
        )),
        Some((did, label)) => words.push_str(&format!(
            "organisation  {did}  ({label})\n\
             validator     {validator}\n\
             peer          {peer}\n\
             \n\
             {REQUEST}      asks to be admitted; give it to a member of the network\n\
             keys/               as `muster init` makes them: root.pem and recovery.pem go offline\n\
             node/node.pem       signs blocks and checkpoints; stays with the node\n\
             node/peer.key       by it other nodes know this one; stays with the node\n\
             \n\
             Next:\n\
             1. here:         {serve}\n\
             2. a member:     muster org admit {REQUEST}\n\
             3. the others:   muster approve --list, muster approve ID\n\
             4. a member:     muster org validators, with {validator}\n\
             Until 4 is done, this node is an access node."
        )),
    }
    Ok(session.output.result(
        &json!({
            "network": network.to_string(),
            "organisation": organisation.map(|(did, _)| did.to_string()),
            "home": dir.to_string(),
            "request": request,
            "validator": validator,
            "peer": peer,
        }),
        words,
    ))
}
