// Order keys: fractional indices over 0-9A-Za-z, as the packages `fractional-indexing` of npm and PyPI make them. The
// first character says how many digits the whole part has, so that adding at an end costs no length.
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const SMALLEST = 'A' + '0'.repeat(26)

/** Compares by code unit, as keys of order are. */
export const byUnit = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)

const digit = (text: string, at: number): number => DIGITS.indexOf(text[at] ?? '0')

const wholeLength = (head: string): number => {
  if (head >= 'a' && head <= 'z') return head.charCodeAt(0) - 95
  if (head >= 'A' && head <= 'Z') return 92 - head.charCodeAt(0)
  return 0
}

const wholeOf = (key: string): string => {
  const length = wholeLength(key[0] ?? '')
  if (length === 0 || length > key.length || key === SMALLEST) throw new RangeError(`no order key: ${key}`)
  return key.slice(0, length)
}

/** The next whole part above (step 1) or below (step -1); undefined where there is none. */
const neighbour = (whole: string, step: 1 | -1): string | undefined => {
  const [head, ...digits] = [...whole]
  for (let at = digits.length - 1; at >= 0; at--) {
    const next = DIGITS.indexOf(digits[at]!) + step
    if (next >= 0 && next < DIGITS.length) {
      digits[at] = DIGITS[next]!
      return head! + digits.join('')
    }
    digits[at] = step === 1 ? '0' : 'z'
  }
  return turned(head!, digits.join(''), step)
}

const turned = (head: string, digits: string, step: 1 | -1): string | undefined => {
  if (head === (step === 1 ? 'Z' : 'a')) return step === 1 ? 'a0' : 'Zz'
  if (head === (step === 1 ? 'z' : 'A')) return undefined
  const next = String.fromCharCode(head.charCodeAt(0) + step)
  const isLonger = step === 1 ? next > 'a' : next < 'Z'
  return next + (isLonger ? digits + (step === 1 ? '0' : 'z') : digits.slice(1))
}

/** A fraction between two others; '' before is 0, undefined after is 1. Neither ends with 0. */
const middle = (before: string, after: string | undefined): string => {
  if (after !== undefined) {
    let same = 0
    while (same < after.length && (before[same] ?? '0') === after[same]) same++
    if (same > 0) return after.slice(0, same) + middle(before.slice(same), after.slice(same))
  }
  const low = digit(before, 0)
  const high = after === undefined ? DIGITS.length : digit(after, 0)
  if (high - low > 1) return DIGITS[Math.round((low + high) / 2)]!
  if (after !== undefined && after.length > 1) return after[0]!
  return DIGITS[low]! + middle(before.slice(1), undefined)
}

/** A key between two others; null: before all, or behind all. Throws RangeError where there is no room. */
export const orderBetween = (before: string | null, after: string | null): string => {
  if (before !== null && after !== null && before >= after) throw new RangeError(`${before} >= ${after}`)
  if (before === null) return after === null ? 'a0' : below(after)
  const whole = wholeOf(before)
  if (after === null) return neighbour(whole, 1) ?? whole + middle(before.slice(whole.length), undefined)
  const whole2 = wholeOf(after)
  if (whole === whole2) return whole + middle(before.slice(whole.length), after.slice(whole.length))
  const next = neighbour(whole, 1)
  return next !== undefined && next < after ? next : whole + middle(before.slice(whole.length), undefined)
}

const below = (after: string): string => {
  const whole = wholeOf(after)
  const fraction = after.slice(whole.length)
  if (whole === SMALLEST) return whole + middle('', fraction)
  if (fraction !== '') return whole
  const next = neighbour(whole, -1)
  if (next === undefined) throw new RangeError(`nothing is before ${after}`)
  return next
}
