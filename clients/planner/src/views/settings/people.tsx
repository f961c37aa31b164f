// Who is part of the wedding: members and their roles, and invitations that nobody has used. For those who may read them;
// what somebody may not change the server refuses.
import { useEffect, useState } from 'preact/hooks'
import { t, word } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import { ROLES } from '../../state/people.js'
import type { Plan } from '../../state/plan.js'
import { Button, IconButton } from '../../ui/button.js'
import { Confirm } from '../../ui/dialog.js'
import { Field, SelectField, type Choice } from '../../ui/field.js'
import { Trash2, UserPlus } from '../../ui/icons.js'
import { toastRefusal } from '../../ui/toast.js'

const NO_CHOICE: Choice = ['', '–']

interface Invitation { readonly id: string; readonly name: string; readonly role: string; readonly user: string }

/** Some roles are those of a vendor, of a guest or of a side: which one. */
const partOf = (plan: Plan, role: string): { readonly name: 'vendor' | 'guest' | 'side'; readonly choices: readonly Choice[] } | undefined => {
  if (role === 'guest') return { name: 'guest', choices: plan.guests.value.map((guest) => [guest.id, plan.called(guest)]) }
  if (role === 'family') return { name: 'side', choices: ['a', 'b'].map((side) => [side, word('side', side)]) }
  if (['vendor', 'venue', 'caterer', 'photographer'].includes(role)) return { name: 'vendor', choices: plan.vendors.value.map(({ id, name = '' }) => [id, name]) }
  return undefined
}

const PART_LABELS = { vendor: 'field.vendor', guest: 'kind.guest', side: 'guest.side' } as const

const Invite = ({ plan, onInvite }: { plan: Plan; onInvite: (person: object) => void }) => {
  const [name, setName] = useState('')
  const [role, choose] = useState<string>('planner')
  const [of, setOf] = useState('')
  const part = partOf(plan, role)
  const submit = (event: Event): void => {
    event.preventDefault()
    onInvite({ role, name: name.trim(), ...(part === undefined || of === '' ? {} : { [part.name]: of }) })
    setName('')
  }
  return (
    <form class="two narrow" onSubmit={submit}>
      <Field label={t('field.name')}>{(id) => <input id={id} required maxLength={120} dir="auto" value={name} onInput={(event) => setName(event.currentTarget.value)} />}</Field>
      <SelectField label={t('you.role')} value={role} choices={ROLES.map((each) => [each, word('role', each)])} onChange={(next) => { choose(next); setOf('') }} />
      {part && <SelectField label={t(PART_LABELS[part.name])} value={of} choices={[NO_CHOICE, ...part.choices]} onChange={setOf} />}
      <Button kind="primary" type="submit" disabled={part !== undefined && of === ''}><UserPlus size={16} />{t('people.invite')}</Button>
    </form>
  )
}

export const People = () => {
  const plan = usePlan()
  const { wedding, members } = plan
  const [invitations, setInvitations] = useState<readonly Invitation[]>()
  const [code, setCode] = useState('')
  const load = (): Promise<void> => wedding.call('GET', 'invitations').then(({ invitations: found }) => setInvitations(found))
  useEffect(() => { load().catch(() => {}) }, [wedding]) // no right to it, or no connection: the section is left out
  if (invitations === undefined) return null
  const call = async (method: string, path: string, body?: object): Promise<void> => {
    try {
      const answer = await wedding.call(method, path, body === undefined ? {} : { body })
      if (typeof answer.code === 'string') setCode(answer.code)
      await load()
    } catch (error) {
      toastRefusal(error)
    }
  }
  const [leaving, leave] = useState<{ readonly id: string; readonly name: string }>()
  const path = (kind: string, id: string): string => `${kind}/${encodeURIComponent(id)}`
  return (
    <section class="card people-card" aria-label={t('people.title')}>
      <h2>{t('people.title')}</h2>
      <ul class="plain-list">
        {members.value.map(({ id, name = id, role = 'guest' }) => (
          <li key={id}>
            <span class="grow" dir="auto">{name}</span>
            <select aria-label={t('people.roleOf', { name })} value={role} onChange={(event) => void call('PATCH', path('members', id), { role: event.currentTarget.value })}>
              {ROLES.filter((each) => each === role || partOf(plan, each) === undefined).map((each) => <option key={each} value={each}>{word('role', each)}</option>)}
            </select>
            <IconButton label={t('record.remove', { name })} onClick={() => leave({ id, name })}><Trash2 size={16} /></IconButton>
          </li>
        ))}
        {invitations.map(({ id, name, role, user }) => (
          <li key={id}>
            <span class="grow" dir="auto">{name || user} <span class="soft">{word('role', role)}, {t('people.invited')}</span></span>
            <IconButton label={t('people.withdraw', { name: name || user })} onClick={() => void call('DELETE', path('invitations', id))}><Trash2 size={16} /></IconButton>
          </li>
        ))}
      </ul>
      {leaving && (
        <Confirm title={t('people.removeTitle', { name: leaving.name })} action={t('action.remove')} onConfirm={() => void call('DELETE', path('members', leaving.id))} onClose={() => leave(undefined)}>
          <p>{t('people.removeHint')}</p>
        </Confirm>
      )}
      {code !== '' && <p role="status">{t('people.code')} <output class="invitation-code">{code}</output></p>}
      <Invite plan={plan} onInvite={(person) => void call('POST', 'invitations', person)} />
    </section>
  )
}
