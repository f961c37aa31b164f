// Values and records as people call them: `15:30`, `table 4, seat 2`, `£1,250.00`, and names for ids.
import { isObject, textOf } from './json.js'
import type { Part } from './part.js'
import { placeOf } from './rows.js'
import type { FieldSpec, Json } from './schema.js'

const DAY = 24 * 60
const LONGEST = 80
const two = (value: number): string => String(value).padStart(2, '0')

/** Minutes from 00:00 on the wedding date as a time of day, with the day behind it where it is another: `01:00 +1`. */
export const clockOf = (minutes: number): string => {
  const day = Math.floor(minutes / DAY)
  const rest = minutes - day * DAY
  return `${two(Math.floor(rest / 60))}:${two(rest % 60)}${day === 0 ? '' : day > 0 ? ` +${day}` : ` ${day}`}`
}

// Browsers know them too, but not as the server does (ISO 4217): to many an afghani has no digits.
const DIGITS: Readonly<Record<string, number>> = {
  ...Object.fromEntries(['BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF', 'XOF', 'XPF'].map((code) => [code, 0])),
  ...Object.fromEntries(['BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND'].map((code) => [code, 3]))
}

/** Digits after the point of a currency. */
export const digitsOf = (currency: string): number => DIGITS[currency] ?? 2

// As in sentences of the server: to a browser, `$` is the dollar of its own country.
const SYMBOLS: Readonly<Record<string, string>> = {
  AUD: 'A$', BRL: 'R$', CAD: 'CA$', CNY: 'CN¥', EUR: '€', GBP: '£', HKD: 'HK$', ILS: '₪', INR: '₹', JPY: '¥', KRW: '₩', MXN: 'MX$', NZD: 'NZ$', PHP: '₱', TWD: 'NT$', USD: 'US$', VND: '₫'
}

/** Minor units of a currency in the way of a language, rounded to `digits` after the point. */
export const moneyOf = (minor: number, currency: string, locale?: string, digits = digitsOf(currency)): string => {
  const symbol = SYMBOLS[currency]
  try {
    const format = new Intl.NumberFormat(locale, { style: 'currency', currency, currencyDisplay: symbol === undefined ? 'code' : 'symbol', minimumFractionDigits: digits, maximumFractionDigits: digits })
    const parts = format.formatToParts(minor / 10 ** digitsOf(currency))
    return parts.map(({ type, value }) => (type === 'currency' ? symbol ?? value : value)).join('')
  } catch {
    return `${minor / 100} ${currency}`.trim() // no such currency or language
  }
}

export class Words {
  constructor (readonly part: (name: string) => Part | undefined) {}

  /** What people call a record; '' where it is not known. */
  label (collection: string, record: string): string {
    const [document, root] = this.#split(collection)
    const named = root === 'assignments' || document === 'care' ? ['guests', 'guests'] : [document, root]
    const row = this.part(named[0]!)?.map(named[1]!)?.get(record)
    const value = (key: string): string => { const found = row?.get?.(key); return typeof found === 'string' ? found.trim() : '' }
    const full = [value('firstName'), value('lastName')].filter(Boolean).join(' ')
    return full || ['name', 'title', 'label', 'text'].map(value).find(Boolean) || ''
  }

  /** A person's name, as the wedding has it. */
  person (user: string): string {
    return this.label('wedding.members', user)
  }

  /** A value of a field, in short; '' where it cannot be said. */
  value (collection: string, key: string | undefined, value: Json | undefined): string {
    if (value === undefined || value === null) return ''
    const [document, root] = this.#split(collection)
    const spec = this.part(document)?.rootSpec(root)
    const field = key === undefined ? spec?.value : spec?.fields?.[placeOf(spec, key)[0]]
    return this.#say(field, value)
  }

  #say (field: FieldSpec | undefined, value: Json): string {
    if (typeof value === 'number') return this.#number(field, value)
    if (typeof value === 'boolean') return value ? 'yes' : 'no'
    if (typeof value === 'string') return this.#text(field, value)
    if (isObject(value)) return this.#object(value)
    return ''
  }

  #number (field: FieldSpec | undefined, value: number): string {
    const meta = this.part('wedding')?.map('meta')
    if (field?.type === 'money') return moneyOf(value, textOf(meta?.toJSON(), 'currency'), textOf(meta?.toJSON(), 'locale') || undefined)
    if (field?.type !== 'minutes') return String(value)
    return field.low === 0 ? `${value} min` : clockOf(value) // lengths of time are never negative
  }

  #text (field: FieldSpec | undefined, value: string): string {
    const named = field?.to === undefined ? '' : this.label(field.to, value)
    if (named !== '') return named
    const readable = field?.type === 'enum' || field?.type === 'code' ? value.replaceAll('_', ' ') : value
    const characters = [...readable]
    return characters.length > LONGEST ? characters.slice(0, LONGEST).join('') + '…' : readable
  }

  #object (value: Readonly<Record<string, Json>>): string {
    if (typeof value['table'] === 'string') {
      const table = this.label('seating.tables', value['table'])
      const at = table === '' ? 'a table that is gone' : `table ${table}`
      return typeof value['seat'] === 'number' ? `${at}, seat ${value['seat'] + 1}` : at
    }
    if (typeof value['amount'] === 'number') return this.#number({ type: 'money' }, value['amount'])
    if (typeof value['by'] === 'string') return this.person(value['by'])
    const texts = Object.values(value).filter((each): each is string => typeof each === 'string')
    return texts.join(', ').slice(0, LONGEST)
  }

  #split (collection: string): readonly [document: string, root: string] {
    const at = collection.lastIndexOf('.')
    return [collection.slice(0, at), collection.slice(at + 1)]
  }
}
