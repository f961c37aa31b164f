// Money in minor units of its currency: 1250 is 12.50 GBP, 1250 JPY, 1.250 KWD. No binary fractions on the way.

// Digits after the point of the currencies that have not two (ISO 4217). Browsers know them too, but each its own.
const EXPONENTS = {
  ...Object.fromEntries(['BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV',
    'XAF', 'XOF', 'XPF'].map((code) => [code, 0])),
  ...Object.fromEntries(['BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND'].map((code) => [code, 3]))
}
const RATE = /^\d{1,12}(\.\d{1,12})?$/
const WHOLE = /^(\d*|\d{1,3}([.,])\d{3}(\2\d{3})*)$/
const GROUPS = /\B(?=(\d{3})+$)/g

export const exponent = (currency) => EXPONENTS[currency] ?? 2

const split = (minor, currency) => {
  const digits = exponent(currency)
  const text = String(Math.abs(minor)).padStart(digits + 1, '0')
  const point = text.length - digits
  return { sign: minor < 0 ? '−' : '', whole: text.slice(0, point), rest: digits ? '.' + text.slice(point) : '' }
}

/** As people read it: `1,250.50 GBP`; the currency is left out where there is none. */
export const formatMoney = (minor, currency) => {
  const { sign, whole, rest } = split(minor, currency)
  return `${sign}${whole.replace(GROUPS, ',')}${rest} ${currency}`.trimEnd()
}

/** As it stands in an input: `1250.50`, or nothing where there is no amount. */
export const moneyToText = (minor, currency) => {
  if (!Number.isSafeInteger(minor)) return ''
  const { sign, whole, rest } = split(minor, currency)
  return sign + whole + rest
}

/**
 * Minor units of what somebody has typed; null where it is no amount from 0 to the largest there can be.
 * The last point or comma is that of the fraction if no more digits follow than the currency has, else of thousands.
 */
export const textToMoney = (text, currency) => {
  const digits = exponent(currency)
  const plain = text.replace(/[\s'’]/g, '')
  const point = Math.max(plain.lastIndexOf('.'), plain.lastIndexOf(','))
  const hasFraction = point >= 0 && plain.length - point - 1 <= digits
  const [whole, rest] = hasFraction ? [plain.slice(0, point), plain.slice(point + 1)] : [plain, '']
  const isNumber = WHOLE.test(whole) && /^\d*$/.test(rest) && whole + rest !== ''
  if (!isNumber || (hasFraction && whole.includes(plain[point]))) return null
  const minor = Number(whole.replace(/[.,]/g, '') + rest.padEnd(digits, '0'))
  return Number.isSafeInteger(minor) ? minor : null
}

/** Minor units of `base`, a number; null where there is no rate. */
export const convert = (minor, currency, rate, base) => {
  if (!currency || currency === base) return minor
  if (typeof rate !== 'string' || !RATE.test(rate)) return null
  const [whole, rest = ''] = rate.split('.')
  const shift = exponent(base) - exponent(currency) - rest.length
  const product = BigInt(whole + rest) * BigInt(minor)
  return Number(shift < 0 ? (product + 10n ** BigInt(-shift) - 1n) / 10n ** BigInt(-shift) : product * 10n ** BigInt(shift))
}

/** What an item costs as far as known: its actual, else its quoted, else its estimated amount. */
export const amountOf = (item) =>
  ['actual', 'quoted', 'estimated'].map((field) => item.get(field)).find(Number.isSafeInteger) ?? null

/** The sum of items in the currency of the wedding, and how many have an amount that no rate leads to it. */
export const sum = (items, base) => {
  let total = 0
  let without = 0
  for (const item of items) {
    const amount = amountOf(item)
    if (amount === null) continue
    const value = convert(amount, item.get('currency'), item.get('rate'), base)
    if (value === null) without += 1
    else total += value
  }
  return { total, without }
}
