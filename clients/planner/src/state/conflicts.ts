// Conflicts as signals: those that wait, all others, and which of the waiting ones are about a record.
import { computed, signal, type ReadonlySignal } from '@preact/signals'
import type { Conflict } from 'crdt-server-client'
import { translated } from './conflict_texts.js'
import type { Plan } from './plan.js'

interface Lists {
  readonly open: ReadonlySignal<readonly Conflict[]>
  readonly settled: ReadonlySignal<readonly Conflict[]>
  readonly byRecord: ReadonlySignal<ReadonlyMap<string, readonly Conflict[]>>
}

const kept = new WeakMap<Plan, Lists>()

const listsOf = (plan: Plan): Lists => {
  let lists = kept.get(plan)
  if (lists !== undefined) return lists
  const { conflicts } = plan.wedding
  const all = signal<readonly Conflict[]>([])
  conflicts.subscribe((list) => { all.value = [...list, ...conflicts.list('auto'), ...conflicts.list('resolved')] })
  const said = computed(translated(plan, all))
  const open = computed(() => said.value.filter(({ state }) => state === 'open'))
  const settled = computed(() => said.value.filter(({ state }) => state !== 'open').sort((one, other) => (other.decidedAt ?? '').localeCompare(one.decidedAt ?? '')))
  const byRecord = computed(() => {
    const map = new Map<string, Conflict[]>()
    for (const conflict of open.value) {
      for (const record of new Set(conflict.about.map((place) => place.record))) map.set(record, [...map.get(record) ?? [], conflict])
    }
    return map
  })
  kept.set(plan, lists = { open, settled, byRecord })
  return lists
}

export const openConflicts = (plan: Plan): Lists['open'] => listsOf(plan).open
export const settledConflicts = (plan: Plan): Lists['settled'] => listsOf(plan).settled
export const conflictsOf = (plan: Plan, record: string): readonly Conflict[] => listsOf(plan).byRecord.value.get(record) ?? []
