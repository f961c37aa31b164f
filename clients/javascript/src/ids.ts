// Ids of records, as documents/README.md describes them: a prefix and 12 characters of Crockford's base 32.
const BASE_32 = '0123456789abcdefghjkmnpqrstvwxyz'

const random = (length: number): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(length)), (byte) => BASE_32[byte % 32]).join('')

/** By collection; other roots begin with `r`. */
const PREFIXES: Readonly<Record<string, string>> = {
  'wedding.events': 'e',
  'wedding.places': 'p',
  'wedding.vendors': 'v',
  'wedding.tasks': 'k',
  'timeline.items': 'i',
  'timeline.emergencies': 'x',
  'budget.categories': 'c',
  'budget.items': 'b',
  'budget.payments': 'pay',
  'budget.contributions': 'n',
  'budget.approvals': 'a',
  'guests.households': 'h',
  'guests.guests': 'g',
  'seating.tables': 't',
  'seating.rules': 'r',
  'seating.fixtures': 'f'
}

/** A new id for a collection: `g_7zk3v0q9xw2a`. */
export const newId = (collection: string): string => `${PREFIXES[collection] ?? 'r'}_${random(12)}`

/** A ULID: the id of a message that was made at `ms` milliseconds since 1970. Its first ten letters sort by time. */
export const newUlid = (ms: number): string => {
  const time = Array.from({ length: 10 }, (_, at) => BASE_32[Math.floor(ms / 32 ** (9 - at)) % 32])
  return (time.join('') + random(16)).toUpperCase()
}
