// Who wrote what over what, and what became of it.
import type { Conflict, ConflictParty } from 'crdt-server-client'
import { ago } from '../../format/time.js'
import { t, word } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import { nameOfPerson } from '../../state/people.js'
import type { Plan } from '../../state/plan.js'
import { initials } from '../../ui/person.js'

const textOf = ({ text, wrote }: ConflictParty): string => text || wrote

/** What each person wrote: one line for each field, and what was written several times once. */
const byPerson = (people: readonly ConflictParty[]): readonly (readonly ConflictParty[])[] => {
  const groups = new Map<string, ConflictParty[]>()
  for (const party of people) {
    const lines = groups.get(party.user)
    if (lines === undefined) groups.set(party.user, [party])
    else if (!lines.some((line) => textOf(line) === textOf(party))) lines.push(party)
  }
  return [...groups.values()]
}

const fieldOf = ({ place }: ConflictParty): string => `${place?.collection} ${place?.record} ${place?.field}`

/** One of each field that holds what none of them wrote. */
const overwritten = (people: readonly ConflictParty[]): readonly ConflictParty[] => {
  const fields = new Map(people.filter(({ now }) => now !== undefined).map((party) => [fieldOf(party), party] as const))
  for (const party of people) if (party.stands) fields.delete(fieldOf(party))
  return [...fields.values()]
}

const nowOf = (plan: Plan, { current, now }: ConflictParty): string => {
  if (current === undefined) return t('conflicts.nothing')
  const { table, seat } = (current ?? {}) as { table?: string; seat?: number | null }
  const label = plan.tableById.value.get(table ?? '')?.label
  return label !== undefined && typeof seat === 'number' ? t('conflicts.seat', { label, seat: seat + 1 }) : now ?? ''
}

/** The users whose values stand while those of others do not. */
export const winnersOf = ({ people }: Conflict): readonly string[] => {
  const lost = new Set(people.filter(({ now, stands }) => now !== undefined && !stands).map(({ user }) => user))
  const won = people.filter(({ user, stands }) => stands && !lost.has(user)).map(({ user }) => user)
  return lost.size === 0 ? [] : [...new Set(won)]
}

const Person = ({ lines, isMarked, now }: { lines: readonly ConflictParty[]; isMarked: boolean; now: number }) => {
  const { user, role, at } = lines[0]!
  const name = nameOfPerson(usePlan(), user)
  return (
    <li class="party">
      <span class="face plain" data-initials={initials(name)} aria-hidden="true" />
      <span>
        <strong dir="auto">{name}</strong>
        <span class="soft"> {word('role', role.replaceAll(' ', '_'))}{at && ` · ${ago(at, now)}`}</span>
        {lines.filter((line) => textOf(line) !== '').map((line, number) => (
          <span key={number} class="wrote" dir="auto">{textOf(line)}{isMarked && line.stands && <span class="chip good">{t('conflicts.stands')}</span>}</span>
        ))}
      </span>
    </li>
  )
}

export const Parties = ({ conflict, now }: { conflict: Conflict; now: number }) => {
  const plan = usePlan()
  const { people } = conflict
  if (people.length === 0) return null
  const isLost = people.some(({ now: held, stands }) => held !== undefined && !stands)
  const isWhole = !isLost && people.every(({ now: held }) => held !== undefined)
  return (
    <>
      <ul class="parties">{byPerson(people).map((lines) => <Person key={lines[0]!.user} lines={lines} isMarked={isLost} now={now} />)}</ul>
      {isWhole && <p class="soft">{t('conflicts.allStand')}</p>}
      {overwritten(people).map((party) => <p key={fieldOf(party)} class="soft" dir="auto">{t('conflicts.now', { record: party.place!.label, value: nowOf(plan, party) })}</p>)}
    </>
  )
}
