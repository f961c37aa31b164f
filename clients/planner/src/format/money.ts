// Money in minor units of its currency: 1250 is 12.50 GBP, 1250 JPY, 1.250 KWD. What people type is read without binary
// fractions; sums of other currencies are exact.
import { digitsOf, moneyOf } from 'crdt-server-client'

const RATE = /^\d{1,12}(\.\d{1,12})?$/
const WHOLE = /^(\d*|\d{1,3}([.,])\d{3}(\2\d{3})*)$/

/** Those that are offered; a wedding may have another one. */
export const CURRENCIES = ['EUR', 'GBP', 'USD', 'CHF', 'INR', 'AUD', 'NZD', 'CAD', 'SEK', 'NOK', 'DKK', 'PLN', 'CZK', 'JPY']

/** Digits after the point. */
export const exponent = digitsOf

export const money = moneyOf

/** Without a fraction where there is none to say: for sums that are read at a glance. */
export const roundMoney = (minor: number, currency: string, locale?: string): string => moneyOf(minor, currency, locale, 0)

/** What stands before the fraction in a language; a point where that is neither point nor comma. */
const decimalOf = (locale: string | undefined): string => {
  try {
    const [decimal = ''] = new Intl.NumberFormat(locale).formatToParts(0.5).flatMap(({ type, value }) => (type === 'decimal' ? value : []))
    return decimal === ',' ? decimal : '.'
  } catch {
    return '.' // no such language
  }
}

/** As it stands in an input: `1250.50`, or `1250,50`. */
export const moneyText = (minor: number | undefined, currency: string, locale = 'en'): string => {
  if (minor === undefined || !Number.isSafeInteger(minor)) return ''
  const digits = exponent(currency)
  const text = String(Math.abs(minor)).padStart(digits + 1, '0')
  const point = text.length - digits
  return (minor < 0 ? '-' : '') + text.slice(0, point) + (digits ? decimalOf(locale) + text.slice(point) : '')
}

/**
 * Minor units of what somebody has typed; undefined where it is no amount. The last point or comma is that of the
 * fraction if no more digits follow than the currency has, else of thousands.
 */
export const parseMoney = (text: string, currency: string): number | undefined => {
  const digits = exponent(currency)
  const plain = text.replace(/[^\d.,-]/g, '')
  const point = Math.max(plain.lastIndexOf('.'), plain.lastIndexOf(','))
  const hasFraction = point >= 0 && plain.length - point - 1 <= digits
  const [whole, rest] = hasFraction ? [plain.slice(0, point), plain.slice(point + 1)] : [plain, '']
  const isNumber = WHOLE.test(whole) && /^\d*$/.test(rest) && whole + rest !== ''
  if (!isNumber || (hasFraction && whole.includes(plain[point]!))) return undefined
  const minor = Number(whole.replace(/[.,]/g, '') + rest.padEnd(digits, '0'))
  return Number.isSafeInteger(minor) ? minor : undefined
}

/** Minor units of `base`, rounded up; undefined where there is no rate. */
export const convert = (minor: number, currency: string | undefined, rate: string | undefined, base: string): number | undefined => {
  if (!currency || currency === base) return minor
  if (rate === undefined || !RATE.test(rate)) return undefined
  const [whole, rest = ''] = rate.split('.')
  const shift = exponent(base) - exponent(currency) - rest.length
  const product = BigInt(whole + rest) * BigInt(minor)
  return Number(shift < 0 ? (product + 10n ** BigInt(-shift) - 1n) / 10n ** BigInt(-shift) : product * 10n ** BigInt(shift))
}
