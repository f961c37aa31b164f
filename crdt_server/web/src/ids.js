// Ids of records and people, as documents/README.md wants them: a prefix and 12 characters of Crockford's base 32.
const BASE_32 = '0123456789abcdefghjkmnpqrstvwxyz'

/** A new id, such as `g_7zk3v0q9xw2a`. */
export const newId = (prefix) =>
  prefix + '_' + Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => BASE_32[byte % 32]).join('')

/** A ULID: the id of a message that was made at `ms` milliseconds since 1970. Its first ten letters sort by time. */
export const newUlid = (ms) => {
  const time = Array.from({ length: 10 }, (_, at) => BASE_32[Math.floor(ms / 32 ** (9 - at)) % 32])
  const random = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => BASE_32[byte % 32])
  return [...time, ...random].join('').toUpperCase()
}
