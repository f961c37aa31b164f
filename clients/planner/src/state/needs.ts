// What guests eat and must not eat: meals, diets and allergies, of one guest and counted. Diets and allergies are known
// only to those who may open these notes.
import type { Guest, Plan } from './plan.js'

export const FOODS = ['meal', 'diet', 'allergen'] as const

export interface Food {
  readonly family: (typeof FOODS)[number]
  readonly name: string
}

export interface Portion extends Food {
  readonly guests: readonly Guest[]
  /** Of an allergy: for whom it is severe. */
  readonly severe: ReadonlySet<string>
}

export const keyOf = ({ family, name }: Food): string => `${family}.${name}`

export const tableOf = (plan: Plan, guest: string): string =>
  plan.tableById.value.get(plan.seatByGuest.value.get(guest)?.table ?? '')?.label ?? ''

/** The number of the chair, from 1; '' where there is none yet. */
export const chairOf = (plan: Plan, guest: string): string => {
  const seat = plan.seatByGuest.value.get(guest)?.seat
  return seat === undefined || seat === null ? '' : String(seat + 1)
}

export const hasNeeds = (plan: Plan, guest: string): boolean => {
  const care = plan.careById.value.get(guest)
  return care !== undefined && (Object.keys(care.diets ?? {}).length > 0 || Object.keys(care.allergies ?? {}).length > 0 || Boolean(care.access))
}

export const isSevere = (plan: Plan, guest: string, allergen: string): boolean => plan.careById.value.get(guest)?.allergies?.[allergen] === 'severe'

/** A guest's meal, diets and allergies. */
export const foodOf = (plan: Plan, { id, meal }: Guest): readonly Food[] => {
  const care = plan.careById.value.get(id)
  return [
    ...(meal ? [{ family: 'meal', name: meal } as const] : []),
    ...Object.keys(care?.diets ?? {}).map((name) => ({ family: 'diet', name }) as const),
    ...Object.keys(care?.allergies ?? {}).map((name) => ({ family: 'allergen', name }) as const)
  ]
}

/** Each meal, diet and allergy of guests with those whom it is for; the most frequent first. */
export const portionsOf = (plan: Plan, guests: readonly Guest[]): readonly Portion[] => {
  const portions = new Map<string, Food & { guests: Guest[]; severe: Set<string> }>()
  for (const guest of guests) {
    for (const food of foodOf(plan, guest)) {
      const portion = portions.get(keyOf(food)) ?? { ...food, guests: [], severe: new Set<string>() }
      portions.set(keyOf(food), portion)
      portion.guests.push(guest)
      if (food.family === 'allergen' && isSevere(plan, guest.id, food.name)) portion.severe.add(guest.id)
    }
  }
  return [...portions.values()].sort((one, other) => other.guests.length - one.guests.length)
}
