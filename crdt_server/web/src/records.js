// Reading records as documents/README.md describes them. What stands in a document may be written by anybody and have
// any shape, so everything here takes the shape that it needs and leaves the rest.

const isRecord = (value) => typeof value?.get === 'function' && typeof value.has === 'function'
const orderOf = (record) => (typeof record.get('order') === 'string' ? record.get('order') : '')

/** Compares texts by code unit, as keys of order are. */
export const byUnit = (a, b) => (a < b ? -1 : a > b ? 1 : 0)

/** [id, record] of all that are not deleted, in their order. */
export const live = (records) =>
  [...records].filter(([, record]) => isRecord(record) && !record.has('deleted'))
    .sort(([a, one], [b, other]) => byUnit(orderOf(one), orderOf(other)) || byUnit(a, b))

const valueOf = (record, key) => (isRecord(record) ? record.get(key) : undefined)

/** The text of a key, or `otherwise`. */
export const text = (record, key, otherwise = '') => {
  const value = valueOf(record, key)
  return typeof value === 'string' ? value : otherwise
}

/** The integer of a key, or null. */
export const whole = (record, key) => {
  const value = valueOf(record, key)
  return Number.isSafeInteger(value) ? value : null
}

/** The list of a key, of a value that may be anything. */
export const list = (record, key) => {
  const value = valueOf(record, key)
  return Array.isArray(value) ? value : []
}

/** Items of a timeline as they happen: by start, by order among equals; those without a start come last. */
export const byTime = (items) =>
  live(items).sort(([, one], [, other]) => (whole(one, 'start') ?? Infinity) - (whole(other, 'start') ?? Infinity) || 0)

/** Ids of a family of keys: of `vendor:v_1` and `vendor:v_2` the last parts. */
export const family = (record, name) =>
  [...record.keys()].filter((key) => key.startsWith(name + ':')).map((key) => key.slice(name.length + 1))

/** First and last name; one of them, the short name of derived documents, or something to say in place of all. */
export const fullName = (guest) =>
  [text(guest, 'firstName'), text(guest, 'lastName')].filter(Boolean).join(' ') || text(guest, 'name', 'No name')

/** For searching: without case and accents. */
export const folded = (value) => value.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()

/** The first characters of the first and the last word, as eyes see characters. */
export const initials = (name) => {
  const words = name.trim().split(/\s+/).map((word) => [...word][0] ?? '')
  return (words.length > 1 ? words[0] + words.at(-1) : words[0]).toLocaleUpperCase()
}

/** Writes a value, or deletes the key where there is none. The same value again is no write. */
export const write = (record, key, value) => {
  if (value === null || value === '') {
    if (record.has(key)) record.delete(key)
  } else if (record.get(key) !== value) record.set(key, value)
}
