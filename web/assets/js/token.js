// Tokens that this page puts together itself and signs by a kept key: logins and invites
// (docs/formats/people.md). JWS in compact serialization, as crate identity writes it.

import { Fault, base64url, concat, random, sha256, unhex, utf8 } from "./bytes.js";
import { didUrl } from "./did.js";
import { kindOf } from "./public_key.js";

/** @typedef {import("./cose.js").Signer} Signer */
/** @typedef {"viewer" | "operator" | "admin" | "auditor"} Role */

/** Seconds that a login is valid: enough for a slow network, at most 60. */
const LOGIN_SECONDS = 60;
/** Longest time of an invite in seconds: a week. */
export const INVITE_SECONDS = 7 * 24 * 60 * 60;
const ROLES = ["viewer", "operator", "admin", "auditor"];
const MAX_NAME = 64;

/** @param {string} typ @param {string} did @param {Record<string, string | number>} claims @param {Signer} signer */
async function signToken(typ, did, claims, signer) {
  const key = signer.publicKey;
  const header = { alg: kindOf(key.algorithm).jose, typ, kid: didUrl(did, key) };
  const part = (/** @type {object} */ object) => base64url(utf8(JSON.stringify(object)));
  const signed = `${part(header)}.${part(claims)}`;
  const signature = await signer.sign(utf8(signed));
  await key.verify(utf8(signed), signature);
  return `${signed}.${base64url(signature)}`;
}

/** An id of a token: 16 random bytes. */
const newId = () => base64url(random(16));

/**
 * A login to the origin of this very page. Nothing but the nonce is the server's.
 * @param {{ organisation: string, network: string, nonce: string, now: number, origin?: string, jti?: string }} terms
 *   now: milliseconds @param {Signer} signer
 */
export async function login(
  { organisation, network, nonce, now, origin = location.origin, jti = newId() },
  signer,
) {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(nonce))
    throw new Fault("the challenge is not 1 to 64 base64url characters");
  const iat = Math.floor(now / 1_000);
  const claims = {
    iss: organisation,
    aud: origin,
    nonce,
    iat,
    exp: iat + LOGIN_SECONDS,
    jti,
    net: checkedNetwork(network),
  };
  return signToken("muster-login+jwt", organisation, claims, signer);
}

/**
 * An invite, and the secret that goes into the link's fragment and nowhere else.
 * @param {{ organisation: string, network: string, role: Role, name: string, now: number, seconds?: number, jti?: string, secret?: Uint8Array }} terms
 * @param {Signer} signer a root key
 */
export async function invite(
  {
    organisation,
    network,
    role,
    name,
    now,
    seconds = INVITE_SECONDS,
    jti = newId(),
    secret = random(32),
  },
  signer,
) {
  const label = utf8(name).length;
  if (label < 1 || label > MAX_NAME || /[\p{Cc}"\\]/u.test(name)) {
    throw new Fault("a name has 1 to 64 bytes and no control characters, quotes or backslashes");
  }
  if (!ROLES.includes(role)) throw new Fault("a role is viewer, operator, admin or auditor");
  if (!(seconds >= 1 && seconds <= INVITE_SECONDS))
    throw new Fault("an invite is valid for at most a week");
  const iat = Math.floor(now / 1_000);
  const secretHash = base64url(await sha256(concat(secret)));
  const claims = {
    iss: organisation,
    aud: checkedNetwork(network),
    jti,
    iat,
    exp: iat + seconds,
    role,
    name,
    secret_hash: secretHash,
  };
  return {
    token: await signToken("muster-invite+jwt", organisation, claims, signer),
    secret: base64url(secret),
  };
}

/** @param {string} network */
function checkedNetwork(network) {
  if (unhex(network).length !== 32) throw new Fault("a network is 64 hexadecimal digits");
  return network;
}
