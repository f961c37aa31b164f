// Time on the day: whole minutes from 00:00 on the wedding date. 930 is 15:30, -360 is 18:00 the evening before and
// 1500 is 01:00 the night after. Written `15:30`, `18:00 -1`, `01:00 +1`.

const DAY = 24 * 60
const LIMIT = 30 * DAY
const two = (value) => String(value).padStart(2, '0')

/** On which day: 0 is that of the wedding. */
export const dayOf = (minutes) => Math.floor(minutes / DAY)

/** The time of day alone: `01:00`. */
export const timeOfDay = (minutes) => {
  const rest = minutes - dayOf(minutes) * DAY
  return `${two(Math.floor(rest / 60))}:${two(rest % 60)}`
}

/** The time, with the day behind it where that is another one. */
export const formatClock = (minutes) => {
  if (!Number.isSafeInteger(minutes)) return ''
  const day = dayOf(minutes)
  return timeOfDay(minutes) + (day === 0 ? '' : day > 0 ? ` +${day}` : ` ${day}`)
}

/** Minutes of what somebody has typed (`15:30`, `9.05`, `930`, `18:00 -1`); null where it is no time. */
export const parseClock = (text) => {
  const match = /^(\d{1,2})[:.h]?(\d{2})(?:\s*([+\-−])\s*(\d{1,2}))?$/.exec(text.trim())
  if (match === null) return null
  const [hours, minutes, day] = [match[1], match[2], match[4] ?? 0].map(Number)
  if (hours > 23 || minutes > 59) return null
  const moment = (match[3] === '+' ? day : -day) * DAY + hours * 60 + minutes
  return Math.abs(moment) <= LIMIT ? moment : null
}

/** The heading of a day. */
export const dayName = (day) => {
  if (day === 0) return 'The day'
  if (day === -1) return 'The day before'
  if (day === 1) return 'The day after'
  return day < 0 ? `${-day} days before` : `${day} days after`
}

/** How long ago an instant was, in the largest unit that fits. */
export const ago = (instant, now) => {
  const minutes = Math.max(0, Math.floor((now - Date.parse(instant)) / 60_000))
  if (!Number.isFinite(minutes)) return ''
  if (minutes < 1) return 'just now'
  if (minutes < 60) return `${minutes} min ago`
  return minutes < DAY ? `${Math.floor(minutes / 60)} h ago` : `${Math.floor(minutes / DAY)} d ago`
}
