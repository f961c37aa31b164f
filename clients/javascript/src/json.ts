import type { Json } from './schema.js'

/** Whether a value of any shape has members. */
export const isObject = <T = Json>(value: unknown): value is { readonly [member: string]: T } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Whether two values are the same JSON. */
export const same = (one: unknown, other: unknown): boolean => {
  if (one === other) return true
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((each, at) => same(each, other[at]))
  }
  if (!isObject<unknown>(one) || !isObject<unknown>(other)) return false
  const names = Object.keys(one)
  return names.length === Object.keys(other).length && names.every((name) => name in other && same(one[name], other[name]))
}

/** A member of a value of any shape that is a text, or `otherwise`. */
export const textOf = (value: unknown, member: string, otherwise = ''): string => {
  const found = isObject(value) ? value[member] : undefined
  return typeof found === 'string' ? found : otherwise
}

/** A value and all in it, frozen. */
export const frozen = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.values(value).forEach(frozen)
    Object.freeze(value)
  }
  return value
}
