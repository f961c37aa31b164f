// Guests from a table: text that was pasted from a spreadsheet or a file, its columns, and rows as guests. No writing.
import { cellsOf } from '../../format/csv.js'
import { codeOf } from '../../format/text.js'
import { meantBy } from '../../i18n/index.js'
import { splitName } from '../../kinds/index.js'

export const COLUMNS = ['skip', 'name', 'firstName', 'lastName', 'household', 'email', 'phone', 'side', 'kind', 'meal', 'diets', 'allergies', 'rsvp', 'note'] as const
export type Column = (typeof COLUMNS)[number]

export interface Sheet {
  readonly columns: readonly Column[]
  readonly hasHeader: boolean
  /** Without the header. */
  readonly rows: readonly (readonly string[])[]
}

export interface Draft {
  /** In the sheet. */
  readonly row: number
  readonly firstName: string
  readonly lastName: string
  readonly household: string
  readonly fields: Readonly<Record<string, string>>
  readonly diets: readonly string[]
  readonly allergies: readonly string[]
  readonly rsvp: 'yes' | 'no' | 'maybe' | undefined
}

const HEADERS: Readonly<Record<string, Column>> = {
  name: 'name', guest: 'name', gast: 'name', 'full name': 'name', 'first name': 'firstName', firstname: 'firstName', first: 'firstName', 'given name': 'firstName',
  vorname: 'firstName', 'last name': 'lastName', lastname: 'lastName', last: 'lastName', surname: 'lastName', nachname: 'lastName', familienname: 'lastName',
  household: 'household', family: 'household', party: 'household', haushalt: 'household', familie: 'household', email: 'email', 'e-mail': 'email', mail: 'email',
  phone: 'phone', mobile: 'phone', telephone: 'phone', telefon: 'phone', handy: 'phone', side: 'side', seite: 'side', kind: 'kind', type: 'kind', age: 'kind', alter: 'kind', art: 'kind',
  meal: 'meal', menu: 'meal', 'menü': 'meal', essen: 'meal', diet: 'diets', diets: 'diets', 'ernährung': 'diets', kost: 'diets', allergy: 'allergies', allergies: 'allergies', allergie: 'allergies', allergien: 'allergies',
  rsvp: 'rsvp', reply: 'rsvp', attending: 'rsvp', antwort: 'rsvp', zusage: 'rsvp', 'rückmeldung': 'rsvp', note: 'note', notes: 'note', notiz: 'note', notizen: 'note', bemerkung: 'note', bemerkungen: 'note', kommentar: 'note'
}
const SIDES: Readonly<Record<string, string>> = { a: 'a', b: 'b', both: 'both', beide: 'both', bride: 'a', groom: 'b', braut: 'a', 'bräutigam': 'b' }
const KINDS: Readonly<Record<string, string>> = { adult: 'adult', child: 'child', infant: 'infant', erwachsen: 'adult', erwachsener: 'adult', erwachsene: 'adult', kind: 'child', baby: 'infant' }
const REPLIES: Readonly<Record<string, Draft['rsvp']>> = { yes: 'yes', y: 'yes', ja: 'yes', no: 'no', n: 'no', nein: 'no', maybe: 'maybe', vielleicht: 'maybe', coming: 'yes', declined: 'no', kommt: 'yes', zugesagt: 'yes', abgesagt: 'no' }

/** What a word of a table stands for; `constructor` is one that every object has. */
const meaning = <T>(words: Readonly<Record<string, T>>, cell: string): T | undefined => {
  const word = cell.toLowerCase()
  return Object.hasOwn(words, word) ? words[word] : undefined
}

/** The codes of a list in one cell: `vegan, glutenfrei`. */
const codesIn = (family: string, cell: string): readonly string[] =>
  [...new Set(cell.split(/[,;/+&]/).map((each) => meantBy(family, each) ?? codeOf(each)).filter((code) => code !== ''))]

/** A text as a sheet, with columns as far as its header tells. Lines of a single column are names. */
export const sheetOf = (text: string): Sheet => {
  const cells = cellsOf(text)
  const width = cells.reduce((most, row) => Math.max(most, row.length), 0)
  const known = (cells[0] ?? []).map((cell) => meaning(HEADERS, cell))
  const hasHeader = known.some(Boolean)
  const byPlace: readonly Column[] = width === 1 ? ['name'] : ['firstName', 'lastName', 'email', 'phone']
  const columns = Array.from({ length: width }, (_, at): Column => (hasHeader ? known[at] : byPlace[at]) ?? 'skip')
  return { columns, hasHeader, rows: cells.slice(hasHeader ? 1 : 0) }
}

const draftOf = (columns: readonly Column[], row: readonly string[]): Omit<Draft, 'row'> => {
  const cell = (column: Column): string => row[columns.indexOf(column)] ?? ''
  const named = cell('name') === '' ? { firstName: cell('firstName'), lastName: cell('lastName') } : splitName(cell('name'))
  const side = meaning(SIDES, cell('side')) ?? meantBy('side', cell('side')) ?? ''
  const kind = meaning(KINDS, cell('kind')) ?? meantBy('guestKind', cell('kind')) ?? ''
  const fields = { email: cell('email'), phone: cell('phone'), meal: meantBy('meal', cell('meal')) ?? codeOf(cell('meal')), note: cell('note'), side, kind }
  return {
    firstName: named.firstName, lastName: named.lastName ?? '', household: cell('household'),
    fields: Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== '')),
    diets: codesIn('diet', cell('diets')), allergies: codesIn('allergen', cell('allergies')),
    rsvp: meaning(REPLIES, cell('rsvp'))
  }
}

/** Guests of a sheet; rows without a name are left out. */
export const draftsOf = ({ columns, rows }: Sheet): readonly Draft[] =>
  rows.map((row, at) => ({ ...draftOf(columns, row), row: at })).filter(({ firstName, lastName }) => firstName !== '' || lastName !== '')
