// Whether fields are what the schema allows: for forms, before something is written. The server checks every write anyway.
import { isObject } from './json.js'
import { kindOf } from './kinds.js'
import type { FieldSpec, Json } from './schema.js'

/** One field that the server would undo. `rule` is that of its notice. */
export interface FieldProblem {
  readonly field: string
  readonly rule: 'type' | 'length' | 'range' | 'format' | 'choice' | 'member' | 'id' | 'unknown_key'
  /** What is expected. */
  readonly expected: string
}

type Found = Omit<FieldProblem, 'field'> | undefined
type Check = (field: FieldSpec, value: any) => Found

const wrongType = (expected: string): Found => ({ rule: 'type', expected })

const inForm = (form: RegExp, rule: FieldProblem['rule'], expected: string): Check => (_, value) =>
  typeof value !== 'string' ? wrongType(expected) : form.test(value) ? undefined : { rule, expected }

const text: Check = ({ maxLength = Infinity }, value) => {
  const expected = `at most ${maxLength} characters`
  if (typeof value !== 'string') return wrongType(expected)
  return [...value].length > maxLength ? { rule: 'length', expected } : undefined
}

const whole: Check = ({ low = -Number.MAX_SAFE_INTEGER, high = Number.MAX_SAFE_INTEGER }, value) => {
  const expected = `a whole number from ${low} to ${high}`
  if (typeof value !== 'number' || !Number.isInteger(value)) return wrongType(expected)
  return value < low || value > high ? { rule: 'range', expected } : undefined
}

const choice: Check = ({ values = [] }, value) => {
  const expected = values.join(', ')
  return typeof value !== 'string' ? wrongType(expected) : values.includes(value) ? undefined : { rule: 'choice', expected }
}

const list: Check = ({ items, maxItems = Infinity }, value) => {
  if (!Array.isArray(value)) return wrongType('a list')
  if (value.length > maxItems) return { rule: 'length', expected: `at most ${maxItems} items` }
  return value.map((each) => items && problem(items, each)).find(Boolean)
}

const object: Check = ({ members = {}, optional = [] }, value) => {
  if (!isObject(value)) return wrongType('an object')
  const missing = Object.keys(members).find((name) => !(name in value) && !optional.includes(name))
  const unknown = Object.keys(value).find((name) => !(name in members))
  if (missing ?? unknown) return { rule: 'member', expected: Object.keys(members).join(', ') }
  return Object.entries(value).map(([name, each]) => problem(members[name]!, each)).find(Boolean)
}

const CHECKS: Readonly<Record<FieldSpec['type'], Check>> = {
  string: text,
  text,
  boolean: (_, value) => (typeof value === 'boolean' ? undefined : wrongType('true or false')),
  flag: (_, value) => (value === true ? undefined : wrongType('true')),
  integer: whole,
  money: whole,
  minutes: whole,
  enum: choice,
  id: inForm(/^[A-Za-z0-9-][A-Za-z0-9_-]{0,63}$/, 'id', 'an id'),
  code: inForm(/^[A-Za-z][A-Za-z0-9_.-]{0,39}$/, 'format', 'a code'),
  decimal: inForm(/^-?\d{1,12}(\.\d{1,12})?$/, 'format', 'a decimal number as text'),
  date: inForm(/^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/, 'format', 'a date as 2026-06-20'),
  instant: inForm(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/, 'format', 'a moment as 2026-06-20T14:05:00Z'),
  order: inForm(/^[A-Za-z][0-9A-Za-z]{0,127}$/, 'format', 'an order key'),
  pattern: ({ about = '' }, value) => (typeof value === 'string' ? undefined : wrongType(about)),
  list,
  object,
  json: () => undefined
}

const problem = (field: FieldSpec, value: Json): Found =>
  (value === null && field.nullable ? undefined : CHECKS[field.type](field, value))

/** What the server would undo of fields for a collection, such as `guests.guests`. null clears a field: never a problem. */
export const problemsIn = (collection: string, fields: object): FieldProblem[] => {
  const [document = '', root = ''] = collection.split('.')
  const specs = kindOf(document)?.roots[root]?.fields ?? {}
  return Object.entries(fields as Record<string, Json | undefined>).flatMap(([name, value]): FieldProblem[] => {
    const field = specs[name]
    if (value === undefined || value === null || name.startsWith('x:')) return []
    if (field === undefined) return [{ field: name, rule: 'unknown_key', expected: Object.keys(specs).join(', ') }]
    if (field.family === undefined) return named(name, problem(field, value))
    return Object.entries(value as object).flatMap(([member, each]) => (each === null ? [] : named(`${name}.${member}`, problem(field, each as Json))))
  })
}

const named = (field: string, found: Found): FieldProblem[] => (found === undefined ? [] : [{ field, ...found }])
