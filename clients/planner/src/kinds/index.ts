// The kinds of records, and their fields as people see them.
import type { rows, Row } from 'crdt-server-client'
import { t, word } from '../i18n/index.js'
import { tableName, type Plan } from '../state/plan.js'
import type { Choice } from '../ui/field.js'
import type { Kind, KindField } from './kind.js'

const NONE: Choice = ['', '–']
const choices = (family: string, values: readonly string[]) => (): readonly Choice[] => values.map((value) => [value, word(family, value)])
const named = <R extends { readonly id: string }>(list: readonly R[], name: (row: R) => string): readonly Choice[] =>
  [NONE, ...list.map((row): Choice => [row.id, name(row) || t('record.unnamed')])]
const vendorsIn = ({ vendors }: Plan): readonly Choice[] => named(vendors.value, (row) => row.name ?? '')
const placesIn = ({ places }: Plan): readonly Choice[] => named(places.value, (row) => row.name ?? '')

/** The first word is the first name, the rest the last; with a comma the other way round. */
export const splitName = (name: string): { firstName: string; lastName: string | null } => {
  const plain = name.trim().replace(/\s+/g, ' ')
  const comma = plain.indexOf(',')
  if (comma > 0) return { firstName: plain.slice(comma + 1).trim(), lastName: plain.slice(0, comma).trim() }
  const space = plain.indexOf(' ')
  return space < 0 ? { firstName: plain, lastName: null } : { firstName: plain.slice(0, space), lastName: plain.slice(space + 1) }
}

const GUEST_FIELDS: readonly KindField<rows.Guest>[] = [
  { name: 'firstName', label: 'guest.firstName', sort: 'text' },
  { name: 'lastName', label: 'guest.lastName', sort: 'text' },
  { name: 'household', label: 'guest.household', sort: 'choice', choices: ({ households }) => named(households.value, (row) => row.name ?? '') },
  { name: 'kind', label: 'guest.kind', sort: 'segments', absent: 'adult', choices: choices('guestKind', ['adult', 'child', 'infant']) },
  { name: 'side', label: 'guest.side', sort: 'segments', choices: choices('side', ['a', 'b', 'both']) },
  { name: 'email', label: 'guest.email', sort: 'email' },
  { name: 'phone', label: 'guest.phone', sort: 'phone' },
  { name: 'meal', label: 'guest.meal', sort: 'code', words: 'meal' },
  { name: 'note', label: 'field.note', sort: 'long' }
]

const rsvpFields = ({ events }: Plan): KindField<rows.Guest>[] => events.value.filter(({ rsvp }) => rsvp).map((event) => ({
  name: 'rsvp', member: event.id, label: 'guest.rsvp', text: t('guest.rsvpFor', { event: event.name ?? '' }), sort: 'segments', absent: 'pending',
  choices: choices('reply', ['yes', 'no', 'maybe', 'pending'])
}))

export const GUEST: Kind<rows.Guest> = {
  name: 'kind.guest',
  collection: ({ wedding }) => wedding.guests,
  title: (guest, plan) => plan.called(guest),
  named: splitName,
  fields: (plan) => [...GUEST_FIELDS.slice(0, 2), ...rsvpFields(plan), ...GUEST_FIELDS.slice(2)]
}

export const HOUSEHOLD: Kind<rows.Household> = {
  name: 'kind.household',
  collection: ({ wedding }) => wedding.households,
  title: (row) => row.name ?? '',
  named: (name) => ({ name }),
  fields: () => [
    { name: 'name', label: 'field.name', sort: 'text' },
    { name: 'greeting', label: 'household.greeting', sort: 'text' },
    { name: 'side', label: 'guest.side', sort: 'segments', choices: choices('side', ['a', 'b', 'both']) }
  ]
}

export const TABLE: Kind<rows.SeatingTable> = {
  name: 'kind.table',
  collection: ({ wedding }) => wedding.seating.tables,
  title: (row) => (row.label ? tableName(row.label) : ''),
  named: (label) => ({ label }),
  fresh: { shape: 'round', capacity: 10 },
  fields: () => [
    { name: 'label', label: 'table.label', sort: 'text' },
    { name: 'capacity', label: 'table.capacity', sort: 'number' },
    { name: 'shape', label: 'table.shape', sort: 'choice', choices: choices('shape', ['round', 'rectangle', 'square', 'oval', 'row']) },
    { name: 'place', label: 'field.place', sort: 'choice', choices: placesIn }
  ]
}

export const RULE: Kind<rows.SeatingRule> = {
  name: 'kind.rule',
  collection: ({ wedding }) => wedding.seating.rules,
  title: ({ kind = '' }) => word('rule_kind', kind),
  named: (reason) => ({ reason }),
  fields: () => []
}

export const FIXTURE: Kind<rows.Fixture> = {
  name: 'kind.fixture',
  collection: ({ wedding }) => wedding.seating.fixtures,
  title: ({ label, kind = 'other' }) => label || word('fixture', kind),
  named: (label) => ({ label }),
  fresh: { kind: 'other', size: { width: 300, height: 200 } },
  fields: () => [
    { name: 'label', label: 'field.name', sort: 'text' },
    { name: 'kind', label: 'item.kind', sort: 'choice', choices: choices('fixture', ['dance', 'stage', 'bar', 'buffet', 'exit', 'other']) }
  ]
}

export const ITEM: Kind<rows.TimelineItem> = {
  name: 'kind.item',
  collection: ({ wedding }) => wedding.timeline,
  title: (row) => row.title ?? '',
  named: (title) => ({ title }),
  fresh: { start: 720, duration: 30, rigidity: 'flex', kind: 'moment', status: 'planned' },
  fields: () => [
    { name: 'title', label: 'field.title', sort: 'text' },
    { name: 'start', label: 'item.start', sort: 'clock', hint: 'item.startHint' },
    { name: 'duration', label: 'item.duration', sort: 'duration' },
    { name: 'rigidity', label: 'item.rigidity', sort: 'segments', absent: 'flex', choices: choices('rigidity', ['fixed', 'flex', 'buffer']) },
    { name: 'status', label: 'item.status', sort: 'choice', choices: choices('itemStatus', ['planned', 'ready', 'live', 'done', 'skipped']) },
    { name: 'kind', label: 'item.kind', sort: 'choice', choices: choices('itemKind', ['setup', 'moment', 'photo', 'meal', 'transport', 'breakdown']) },
    { name: 'place', label: 'field.place', sort: 'choice', choices: placesIn },
    { name: 'keyMoment', label: 'item.keyMoment', sort: 'flag' },
    { name: 'note', label: 'field.note', sort: 'long' }
  ]
}

export const COST: Kind<rows.BudgetItem> = {
  name: 'kind.cost',
  collection: ({ wedding }) => wedding.budget,
  title: (row) => row.name ?? '',
  named: (name) => ({ name }),
  fields: () => [
    { name: 'name', label: 'field.name', sort: 'text' },
    { name: 'category', label: 'cost.category', sort: 'choice', choices: ({ categories }) => named(categories.value, (row) => row.name ?? '') },
    { name: 'estimated', label: 'cost.estimated', sort: 'money' },
    { name: 'quoted', label: 'cost.quoted', sort: 'money' },
    { name: 'actual', label: 'cost.actual', sort: 'money' },
    { name: 'due', label: 'cost.due', sort: 'date' },
    { name: 'vendor', label: 'field.vendor', sort: 'choice', choices: vendorsIn },
    { name: 'note', label: 'field.note', sort: 'long' }
  ]
}

export const CATEGORY: Kind<rows.Category> = {
  name: 'kind.category',
  collection: ({ wedding }) => wedding.budget.categories,
  title: (row) => row.name ?? '',
  named: (name) => ({ name }),
  fields: () => [
    { name: 'name', label: 'field.name', sort: 'text' },
    { name: 'allocated', label: 'category.allocated', sort: 'money' }
  ]
}

export const TASK: Kind<rows.Task> = {
  name: 'kind.task',
  collection: ({ wedding }) => wedding.tasks,
  title: (row) => row.title ?? '',
  named: (title) => ({ title }),
  fields: () => [
    { name: 'title', label: 'field.title', sort: 'text' },
    { name: 'due', label: 'task.due', sort: 'date' },
    { name: 'assignee', label: 'task.assignee', sort: 'choice', choices: ({ members }) => named(members.value, (row) => row.name ?? '') },
    { name: 'priority', label: 'task.priority', sort: 'segments', absent: 'normal', choices: choices('priority', ['low', 'normal', 'high']) },
    { name: 'vendor', label: 'field.vendor', sort: 'choice', choices: vendorsIn },
    { name: 'note', label: 'field.note', sort: 'long' }
  ]
}

export const VENDOR: Kind<rows.Vendor> = {
  name: 'kind.vendor',
  collection: ({ wedding }) => wedding.vendors,
  title: (row) => row.name ?? '',
  named: (name) => ({ name }),
  fresh: { stage: 'shortlisted' },
  fields: () => [
    { name: 'name', label: 'field.name', sort: 'text' },
    { name: 'category', label: 'vendor.category', sort: 'code', words: 'category' },
    { name: 'stage', label: 'vendor.stage', sort: 'choice', choices: choices('stage', ['shortlisted', 'quoted', 'booked', 'confirmed', 'cancelled']) },
    { name: 'dayStatus', label: 'vendor.dayStatus', sort: 'choice', choices: choices('dayStatus', ['expected', 'en_route', 'on_site', 'setting_up', 'ready', 'working', 'breaking_down', 'left', 'late', 'no_show']) },
    { name: 'note', label: 'field.note', sort: 'long' }
  ]
}

export const EVENT: Kind<rows.Event> = {
  name: 'kind.event',
  collection: ({ wedding }) => wedding.events,
  title: (row) => row.name ?? '',
  named: (name) => ({ name }),
  fresh: { rsvp: true, start: 900, duration: 120 },
  fields: () => [
    { name: 'name', label: 'field.name', sort: 'text' },
    { name: 'start', label: 'item.start', sort: 'clock' },
    { name: 'duration', label: 'item.duration', sort: 'duration' },
    { name: 'place', label: 'field.place', sort: 'choice', choices: placesIn },
    { name: 'rsvp', label: 'event.rsvp', sort: 'flag' }
  ]
}

export const PLACE: Kind<rows.Place> = {
  name: 'kind.place',
  collection: ({ wedding }) => wedding.places,
  title: (row) => row.name ?? '',
  named: (name) => ({ name }),
  fresh: { kind: 'room' },
  fields: (_, row: Row<rows.Place>) => [
    { name: 'name', label: 'field.name', sort: 'text' },
    { name: 'kind', label: 'place.kind', sort: 'segments', absent: 'room', choices: choices('placeKind', ['venue', 'room', 'outdoor', 'road']) },
    { name: 'capacity', label: 'place.capacity', sort: 'number' },
    { name: 'exclusive', label: 'place.exclusive', sort: 'flag' },
    { name: 'rainPlan', label: 'place.rainPlan', sort: 'choice', choices: ({ places }) => named(places.value.filter(({ id }) => id !== row.id), (place) => place.name ?? '') }
  ]
}
