// Time on the day: whole minutes from 00:00 on the wedding date. 930 is 15:30, -360 is 18:00 the evening before.
import { clockOf } from 'crdt-server-client'
import { dateLocale, language, t } from '../i18n/index.js'

const DAY = 24 * 60
const LIMIT = 30 * DAY
const DAY_MS = 86_400_000

export const clock = (minutes: number | undefined): string => (minutes === undefined ? '' : clockOf(minutes))

/** The time of day without the day: `01:00`. */
export const timeOfDay = (minutes: number): string => clockOf(minutes - Math.floor(minutes / DAY) * DAY)

/** On which day: 0 is that of the wedding. */
export const dayOf = (minutes: number): number => Math.floor(minutes / DAY)

/** Minutes of what somebody has typed (`15:30`, `9.05`, `930`, `18:00 -1`); undefined where it is no time. */
export const parseClock = (text: string): number | undefined => {
  const match = /^(\d{1,2})(?:[:.h]?(\d{2}))?(?:\s*([+\-−])\s*(\d{1,2}))?$/.exec(text.trim())
  if (match === null) return undefined
  const [hours = 0, minutes = 0, day = 0] = [match[1], match[2] ?? 0, match[4] ?? 0].map(Number)
  if (hours > 23 || minutes > 59) return undefined
  const moment = (match[3] === '+' ? day : -day) * DAY + hours * 60 + minutes
  return Math.abs(moment) <= LIMIT ? moment : undefined
}

/** `1 h 30`, `45 min`. */
export const duration = (minutes: number): string => {
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60]
  if (hours === 0) return `${rest} min`
  return rest === 0 ? `${hours} h` : `${hours} h ${String(rest).padStart(2, '0')}`
}

/** Minutes of `1 h 30`, `1:30`, `1.5 h`, `90` or `90 min`; undefined where it is none. */
export const parseDuration = (text: string): number | undefined => {
  const plain = text.trim().toLowerCase().replace(',', '.')
  const both = /^(\d+)\s*(?:h|:)\s*(\d{1,2})\s*(?:m(?:in)?)?$/.exec(plain)
  if (both) return Number(both[1]) * 60 + Number(both[2])
  const hours = /^(\d+(?:\.\d+)?)\s*h$/.exec(plain)
  if (hours) return Math.round(Number(hours[1]) * 60)
  const minutes = /^(\d+)\s*(?:m(?:in)?)?$/.exec(plain)
  return minutes ? Number(minutes[1]) : undefined
}

const utc = (day: string): number => Date.parse(`${day}T00:00:00Z`)

/** A date as people write it. */
export const longDate = (day: string): string =>
  new Intl.DateTimeFormat(dateLocale(), { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' }).format(utc(day))

export const shortDate = (day: string): string =>
  new Intl.DateTimeFormat(dateLocale(), { day: 'numeric', month: 'short', timeZone: 'UTC' }).format(utc(day))

/** How moments are written where a wedding is; in UTC where this browser does not have that zone, which people type. */
export const formatIn = (timeZone: string | undefined, locale: string, options: Intl.DateTimeFormatOptions = {}): Intl.DateTimeFormat => {
  try {
    return new Intl.DateTimeFormat(locale, { ...options, timeZone: timeZone || 'UTC' })
  } catch {
    return new Intl.DateTimeFormat(locale, { ...options, timeZone: 'UTC' })
  }
}

/** Whether this browser knows it; '' is none, and allowed. */
export const isTimeZone = (name: string): boolean => {
  try {
    return name === '' || new Intl.DateTimeFormat('en', { timeZone: name }) !== undefined
  } catch {
    return false
  }
}

export const timeZones = (): readonly string[] => Intl.supportedValuesOf?.('timeZone') ?? []

/** Whole days from one date to another. */
export const daysBetween = (from: string, to: string): number => Math.round((utc(to) - utc(from)) / DAY_MS)

/** A date some days later. */
export const plusDays = (day: string, days: number): string => new Date(utc(day) + days * DAY_MS).toISOString().slice(0, 10)

/** A date by what it means for today: `today`, `in 5 days`, `5 days ago`. */
export const relativeDay = (day: string, today: string): string =>
  new Intl.RelativeTimeFormat(language.value, { numeric: 'auto' }).format(daysBetween(today, day), 'day')

/** How long ago an instant was, in the largest unit that fits. */
export const ago = (instant: string, nowMs: number): string => {
  const minutes = Math.floor((nowMs - Date.parse(instant)) / 60_000)
  if (!Number.isFinite(minutes)) return ''
  if (minutes < 1) return t('time.now')
  const format = new Intl.RelativeTimeFormat(language.value, { numeric: 'auto', style: 'short' })
  if (minutes < 60) return format.format(-minutes, 'minute')
  return minutes < DAY ? format.format(-Math.floor(minutes / 60), 'hour') : format.format(-Math.floor(minutes / DAY), 'day')
}
