// Which bytes are points. WebCrypto takes any 32 bytes for an Ed25519 key and no compressed P-256
// key, so what crate identity refuses (docs/formats/did.md) is refused here.

/** @typedef {import("./bytes.js").Bytes} Bytes */

const ED_P = (1n << 255n) - 19n;
const ED_D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n;
/** Order of the base point (RFC 8032 §5.1). */
const ED_L = (1n << 252n) + 27742317777372353535851937790883648493n;

const P256_P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const P256_B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const P256_N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** @param {Iterable<number>} bytes big-endian */
function integer(bytes) {
  let n = 0n;
  for (const byte of bytes) n = (n << 8n) | BigInt(byte);
  return n;
}

/** @param {bigint} n @returns {Bytes} 32 bytes, big-endian */
function thirtyTwo(n) {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((n >> BigInt(8 * (31 - i))) & 255n));
}

/** @param {bigint} base @param {bigint} exponent @param {bigint} modulus */
function power(base, exponent, modulus) {
  let result = 1n;
  for (let b = base % modulus; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * b) % modulus;
    b = (b * b) % modulus;
  }
  return result;
}

/**
 * Why 32 bytes are no Ed25519 point that a verifier may use, or null (RFC 8032 §5.1.3).
 * @param {Uint8Array} bytes @returns {string | null}
 */
export function ed25519Fault(bytes) {
  const little = integer([...bytes].reverse());
  const [sign, y] = [little >> 255n, little & ((1n << 255n) - 1n)];
  const notAPoint = "not a canonical point of its curve";
  if (y >= ED_P) return notAPoint;
  // x² = (y² - 1) / (d y² + 1); the divisor is never zero, since -1/d is no square.
  const [above, below] = [(y * y + ED_P - 1n) % ED_P, (ED_D * y * y + 1n) % ED_P];
  const xx = (above * power(below, ED_P - 2n, ED_P)) % ED_P;
  if (xx === 0n && sign === 1n) return notAPoint;
  if (xx !== 0n && power(xx, (ED_P - 1n) / 2n, ED_P) !== 1n) return notAPoint;
  // Small order: twice doubled it is of order two or one, x = 0. By 2(x, y) the new x² is
  // 4x²y² / (1 + d x² y²)² and the new y is (x² + y²) / (1 - d x² y²).
  let [u, v] = [xx, y];
  for (let i = 0; i < 2; i++) {
    const square = (v * v) % ED_P;
    const product = (((ED_D * u) % ED_P) * square) % ED_P;
    const plus = power(1n + product, ED_P - 2n, ED_P);
    const minus = power(1n + ED_P - product, ED_P - 2n, ED_P);
    [u, v] = [(((4n * u * square) % ED_P) * plus * plus) % ED_P, ((u + square) * minus) % ED_P];
  }
  return u === 0n ? "a small-order point, for which anybody can make signatures" : null;
}

/** @param {Uint8Array} signature whether R is a point as above and s is below the order */
export function ed25519SignatureOk(signature) {
  const s = integer([...signature.slice(32)].reverse());
  return s < ED_L && ed25519Fault(signature.slice(0, 32)) === null;
}

/** @param {Uint8Array} signature whether r and s are from 1 to n - 1 (FIPS 186-5 §6.4.2) */
export function p256SignatureOk(signature) {
  const parts = [integer(signature.slice(0, 32)), integer(signature.slice(32))];
  return parts.every((part) => part > 0n && part < P256_N);
}

/**
 * The uncompressed form of a compressed P-256 point (SEC 1 §2.3.4), or null if it is none.
 * @param {Uint8Array} bytes @returns {Bytes | null}
 */
export function decompress(bytes) {
  const x = integer(bytes.slice(1));
  if ((bytes[0] !== 2 && bytes[0] !== 3) || x >= P256_P) return null;
  const yy = (x * x * x + (P256_P - 3n) * x + P256_B) % P256_P;
  let y = power(yy, (P256_P + 1n) / 4n, P256_P);
  if ((y * y) % P256_P !== yy) return null;
  if ((y & 1n) !== BigInt(bytes[0] & 1)) y = P256_P - y;
  return Uint8Array.from([4, ...thirtyTwo(x), ...thirtyTwo(y)]);
}

/** @param {Uint8Array} bytes an uncompressed point @returns {Bytes} */
export function compress(bytes) {
  return Uint8Array.from([2 + (bytes[64] & 1), ...bytes.slice(1, 33)]);
}
