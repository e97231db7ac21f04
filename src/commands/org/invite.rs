use super::super::change::done;
use super::super::{Session, confirm, moment};
use super::{ROOT, ours};
use crate::cli::OrgInvite;
use crate::host::{Machine, random};
use crate::signing::Desk;
use anyhow::{Context as _, Result, anyhow, ensure};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use muster_api::{ClientError, Host as _, InviteClaim};
use muster_identity::{InviteTerms, PublicKey, Role, Signature, invite, sha256};
use muster_ledger::{Action, Capabilities, ChangeKeys, NewKey, VerifiedEntry};
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

/// How often it is asked whether somebody used the link.
const PAUSE: Duration = Duration::from_millis(500);

/// An invitation that a node has taken.
pub(crate) struct Offer {
    /// What the person opens. The secret and the network's hash are behind the `#`, which no
    /// browser sends anywhere.
    pub(crate) link: String,
    pub(crate) expires: u64,
    id: String,
    role: Role,
}

impl Offer {
    /// Makes an invitation and hands it in.
    pub(crate) async fn make(
        desk: &Desk,
        name: &str,
        role: Role,
        hours: u64,
        console: &str,
    ) -> Result<Self> {
        let secret: [u8; 32] = random();
        let network = desk.genesis.network();
        let iat = Machine.now().0 / 1_000;
        let terms = InviteTerms {
            network: network.0,
            jti: BASE64URL_NOPAD.encode(&random::<16>()),
            iat,
            exp: iat + hours * 3_600,
            role,
            name: name.into(),
            secret_hash: sha256(&[&secret]),
        };
        let token = invite(&desk.organisation(), &terms, &*desk.key)?;
        let view = desk.client.invite(&token).await?;
        let (secret, network) = (BASE64URL_NOPAD.encode(&secret), HEXLOWER.encode(&network.0));
        let link = format!("{}/join#{secret}.{network}", console.trim_end_matches('/'));
        Ok(Self { link, expires: view.expires, id: view.invite, role })
    }

    /// Waits until a key uses it. None: it is over, and if its role needs nothing of the ledger,
    /// the person is in.
    pub(crate) async fn used(&self, desk: &Desk) -> Result<Option<InviteClaim>> {
        loop {
            match desk.client.invited(&self.id).await {
                Ok(view) => {
                    if let Some(claim) = view.claim {
                        return Ok(Some(claim));
                    }
                }
                Err(ClientError::Refused(problem)) if problem.code() == "invite-over" => {
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Puts the key on the ledger. The page that made it signs anew while the organisation
    /// changes.
    pub(crate) async fn admit(&self, desk: &Desk, claim: InviteClaim) -> Result<VerifiedEntry> {
        let capabilities = Capabilities::of_role(self.role)
            .ok_or_else(|| anyhow!("this role needs nothing of the ledger"))?;
        let (mut claim, first) = (claim.clone(), claim.key);
        let seq = loop {
            let seq = ours(desk).await?.seq;
            if claim.seq == seq {
                break seq;
            }
            tokio::time::sleep(PAUSE).await;
            let next = self.used(desk).await?;
            claim = next.context("the invitation ended before the key was admitted")?;
        };
        ensure!(claim.key == first, "another key than the one that was shown uses the link");
        let key = PublicKey::from_multikey(&claim.key).context("the key")?;
        let proof = BASE64URL_NOPAD.decode(claim.proof.as_bytes()).ok();
        let proof =
            proof.and_then(|p| p.try_into().ok()).context("the key's proof is malformed")?;
        let key = NewKey { key, proof: Signature(proof) };
        let add = vec![(key, capabilities)];
        desk.submit(Action::ChangeKeys(ChangeKeys { seq, add, remove: Vec::new() })).await
    }
}

pub(super) async fn run(session: &Session, arg: OrgInvite) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ROOT)?;
    let role = Role::of_word(&arg.role).with_context(|| format!("{} is no role", arg.role))?;
    let console = arg.console.as_deref().unwrap_or(desk.client.base());
    let offer = Offer::make(&desk, &arg.name, role, arg.hours, console).await?;
    let words = format!(
        "{}\n\nWhoever opens it first, joins as {} ({}). It works once, until {}.\n\
         Send it by a way you trust.",
        offer.link,
        arg.name,
        arg.role,
        moment(offer.expires)
    );
    let object = json!({ "link": offer.link, "invite": offer.id, "expires": offer.expires });
    // A script needs the link before anybody can use it: it does not wait.
    if arg.no_wait || session.output.is_json() || Capabilities::of_role(role).is_none() {
        return Ok(session.output.result(&object, words));
    }
    session
        .output
        .say(format!("{words}\n\nWaiting until it is used; Ctrl-C leaves that to an admin."));
    let Some(claim) = offer.used(&desk).await? else {
        return Ok(session.output.result(&object, "The invitation is over."));
    };
    let key = claim.key.clone();
    if !arg.yes {
        let label = &claim.label;
        let ask = format!(
            "{label:?} used it, with the key\n  {key}\nIs it the one that {} sees?",
            arg.name
        );
        confirm::agree(&ask).context("not admitted: an admin may still do so in the console")?;
    }
    let entry = offer.admit(&desk, claim).await?;
    let what = format!("admitted {} as {}", arg.name, arg.role);
    Ok(done(session, &entry, &what, &[("key", key)]))
}
