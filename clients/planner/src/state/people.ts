// Who else has the wedding open, and the roles that people have.
import { signal, type ReadonlySignal } from '@preact/signals'
import type { PresentPerson } from 'crdt-server-client'
import type { Plan } from './plan.js'

export const ROLES = ['couple', 'planner', 'coordinator', 'venue', 'caterer', 'photographer', 'vendor', 'family', 'wedding_party', 'guest'] as const

const kept = new WeakMap<Plan, ReadonlySignal<readonly PresentPerson[]>>()

export const othersHere = (plan: Plan): ReadonlySignal<readonly PresentPerson[]> => {
  let found = kept.get(plan)
  if (found === undefined) {
    const others = signal<readonly PresentPerson[]>([])
    plan.wedding.presence.subscribe((list) => { others.value = list })
    kept.set(plan, found = others)
  }
  return found
}
