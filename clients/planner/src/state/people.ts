// Who else has the wedding open, what people are called, and the roles that they have.
import { computed, signal, type ReadonlySignal } from '@preact/signals'
import type { PresentPerson } from 'crdt-server-client'
import { t } from '../i18n/index.js'
import type { Plan } from './plan.js'

export const ROLES = ['couple', 'planner', 'coordinator', 'venue', 'caterer', 'photographer', 'vendor', 'family', 'wedding_party', 'guest'] as const

const kept = new WeakMap<Plan, ReadonlySignal<readonly PresentPerson[]>>()
const keptNames = new WeakMap<Plan, ReadonlySignal<ReadonlyMap<string, string>>>()

export const othersHere = (plan: Plan): ReadonlySignal<readonly PresentPerson[]> => {
  let found = kept.get(plan)
  if (found === undefined) {
    const others = signal<readonly PresentPerson[]>([])
    plan.wedding.presence.subscribe((list) => { others.value = list })
    kept.set(plan, found = computed(() => others.value.map((each) => ({ ...each, name: each.name || t('messages.somebody') }))))
  }
  return found
}

interface Member { readonly user: string; readonly name: string }

/** The members of the wedding, page by page. */
const allMembers = async (plan: Plan): Promise<readonly Member[]> => {
  const found: Member[] = []
  let query: { after?: string } | undefined = {}
  while (query !== undefined) {
    const page: { members: readonly Member[]; next?: string | null } = await plan.wedding.call('GET', 'members', { query })
    found.push(...page.members)
    query = page.next == null ? undefined : { after: page.next }
  }
  return found
}

/** Names of those who came by an invitation, as far as this person may read them: the wedding need not list them. */
export const invitedNames = (plan: Plan): ReadonlySignal<ReadonlyMap<string, string>> => {
  let found = keptNames.get(plan)
  if (found === undefined) {
    const names = signal<ReadonlyMap<string, string>>(new Map())
    keptNames.set(plan, found = names)
    if (plan.wedding.permissions['members']?.includes('read')) {
      const keep = (members: readonly Member[]): void => { names.value = new Map(members.map(({ user, name }) => [user, name])) }
      allMembers(plan).then(keep, () => {}) // without a connection they have the names of the wedding
    }
  }
  return found
}

/** What a person is called, by their id. */
export const nameOfPerson = (plan: Plan, id: string): string => {
  const { person } = plan.wedding
  return plan.members.value.find((row) => row.id === id)?.name
    || (id === person.id || id === person.user ? t('conflicts.you') : '')
    || invitedNames(plan).value.get(id) || othersHere(plan).value.find(({ user }) => user === id)?.name || t('messages.somebody')
}
