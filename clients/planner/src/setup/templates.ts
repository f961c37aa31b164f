// What a new wedding begins with, from lines of the catalogue: `minute duration kind rigidity title`, `share title` of the
// budget in percent, and `days title` before the wedding.
import type { Wedding } from 'crdt-server-client'
import { plusDays } from '../format/time.js'
import { t } from '../i18n/index.js'

export type Template = 'classic' | 'small' | 'blank'
export const TEMPLATES: readonly Template[] = ['classic', 'small', 'blank']

export interface Beginning {
  readonly title: string
  readonly date: string
  readonly place: string
  readonly currency: string
  readonly timeZone: string
  readonly locale: string
  /** Minor units; undefined: not known yet. */
  readonly limit: number | undefined
  readonly template: Template
}

const CEREMONY = { start: 900, duration: 40 }
const RECEPTION = { start: 1020, duration: 420 }
const REPLY_DAYS = 30
const SEATS = 8
const TABLES: Readonly<Record<Template, number>> = { classic: 8, small: 3, blank: 0 }
const IN_A_ROW = 4
const APART_CM = 400

const lines = (text: string): string[][] => text.split('\n').filter(Boolean).map((line) => line.trim().split(/\s+/))

const addEvents = (wedding: Wedding, place: string | undefined): void => {
  const at = place === undefined ? {} : { place }
  wedding.events.add({ id: 'e_ceremony', name: t('template.ceremony'), rsvp: true, visibility: 'invited', ...CEREMONY, ...at })
  wedding.events.add({ id: 'e_reception', name: t('template.reception'), rsvp: true, visibility: 'invited', ...RECEPTION, ...at })
}

/** Each item comes after the last one that is over by then, so that a delay is passed on. */
const addTimeline = (wedding: Wedding, place: string | undefined): void => {
  const added: { readonly id: string; readonly end: number }[] = []
  for (const [from, length, kind, rigidity, ...title] of lines(t('template.timeline'))) {
    const [start, duration] = [Number(from), Number(length)]
    const before = added.filter(({ end }) => end <= start).at(-1)
    const id = wedding.timeline.add({
      title: title.join(' '), start, duration, kind: kind as 'moment', rigidity: rigidity as 'flex', status: 'planned', ...(rigidity === 'fixed' ? { keyMoment: true } : {}),
      ...(place === undefined ? {} : { place }), ...(before === undefined ? {} : { after: { [before.id]: 0 } })
    })
    added.push({ id, end: start + duration })
  }
}

const addBudget = (wedding: Wedding, limit: number | undefined): void => {
  for (const [share, ...name] of lines(t('template.budget'))) {
    const allocated = limit === undefined ? {} : { allocated: Math.round((limit * Number(share)) / 100) }
    wedding.budget.categories.add({ name: name.join(' '), ...allocated })
  }
}

const addTasks = (wedding: Wedding, date: string, today: string): void => {
  for (const [before, ...title] of lines(t('template.tasks'))) {
    const due = plusDays(date, -Number(before))
    wedding.tasks.add({ title: title.join(' '), due: due < today ? today : due })
  }
}

const addTables = (wedding: Wedding, count: number): void => {
  for (let at = 0; at < count; at++) {
    const position = { x: (at % IN_A_ROW) * APART_CM, y: Math.floor(at / IN_A_ROW) * APART_CM, rotation: 0 }
    wedding.seating.tables.add({ label: String(at + 1), shape: 'round', capacity: SEATS, position, size: { width: 180, height: 180 } })
  }
}

/** Writes all that a new wedding begins with, as one step that can be taken back. */
export const beginWedding = (wedding: Wedding, beginning: Beginning): void => wedding.batch(() => {
  const { title, date, place, currency, timeZone, locale, limit, template } = beginning
  const today = wedding.now().slice(0, 10)
  wedding.details.update({ title, date, currency, timeZone, locale, rsvpBy: plusDays(date, -REPLY_DAYS) })
  const at = place === '' ? undefined : wedding.places.add({ name: place, kind: 'venue' })
  addEvents(wedding, at)
  if (limit !== undefined) wedding.budget.limits.update({ limit })
  if (template === 'blank') return
  addBudget(wedding, limit)
  addTasks(wedding, date, today)
  addTables(wedding, TABLES[template])
  if (template === 'classic') addTimeline(wedding, at)
})
