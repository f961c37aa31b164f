// Ids of records and people, as documents/README.md wants them: a prefix and 12 characters of Crockford's base 32.
const BASE_32 = '0123456789abcdefghjkmnpqrstvwxyz'

/** A new id, such as `g_7zk3v0q9xw2a`. */
export const newId = (prefix) =>
  prefix + '_' + Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => BASE_32[byte % 32]).join('')
