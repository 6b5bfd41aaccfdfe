// The signatures of tokens that are known, by the keys that they go with. Pure data.
// Keeps SPEC: PUSH-25 (`none` is no algorithm, and shared secrets have algorithms of their own).

/** By the type of a public key, of curves by their name as Node has it. */
export const KEY_ALGORITHMS: Readonly<Record<string, readonly string[]>> = {
  rsa: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  'rsa-pss': ['PS256', 'PS384', 'PS512'],
  prime256v1: ['ES256'],
  secp384r1: ['ES384'],
  secp521r1: ['ES512'],
  ed25519: ['EdDSA', 'Ed25519'],
}

/** Least bytes of a shared secret: those of the hash. */
export const SECRET_BYTES_MIN: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 }

export const PUBLIC_KEY_ALGORITHMS: readonly string[] = [...new Set(Object.values(KEY_ALGORITHMS).flat())]
export const SECRET_ALGORITHMS: readonly string[] = Object.keys(SECRET_BYTES_MIN)
