// Who takes part in a conversation, whether it notifies, and whether it goes on. All of it is the server's.
import type { ThreadSummary } from 'crdt-server-client'
import { useState } from 'preact/hooks'
import { t } from '../../i18n/index.js'
import { go } from '../../router.js'
import { usePlan } from '../../state/context.js'
import { invitedNames, nameOfPerson } from '../../state/people.js'
import { threadsOf } from '../../state/threads.js'
import { Button, IconButton } from '../../ui/button.js'
import { Dialog } from '../../ui/dialog.js'
import { SelectField, type Choice } from '../../ui/field.js'
import { UserPlus, Users, X } from '../../ui/icons.js'
import { toastRefusal } from '../../ui/toast.js'

const pathOf = (...parts: readonly string[]): string => ['threads', ...parts.map(encodeURIComponent)].join('/')

const Adding = ({ users, onAdd }: { users: readonly string[]; onAdd: (user: string) => void }) => {
  const plan = usePlan()
  const [user, choose] = useState('')
  const known = [...new Set([...plan.members.value.map(({ id }) => id), ...invitedNames(plan).value.keys()])]
  const choices: Choice[] = known.filter((id) => !users.includes(id)).map((id) => [id, nameOfPerson(plan, id)])
  return (
    <form class="two narrow" onSubmit={(event) => { event.preventDefault(); onAdd(user); choose('') }}>
      <SelectField label={t('messages.add')} value={user} choices={[['', '–'], ...choices]} onChange={choose} />
      <Button type="submit" disabled={user === ''}><UserPlus size={16} />{t('action.add')}</Button>
    </form>
  )
}

const People = ({ thread, call }: { thread: ThreadSummary; call: (method: string, path: string, body?: object) => void }) => {
  const plan = usePlan()
  const { person, permissions } = plan.wedding
  const users = thread.participants.map(({ user }) => user)
  const mayChange = permissions['messages']?.includes('write') || thread['by'] === person.user
  const isOpen = thread.status === 'open'
  return (
    <div class="stack">
      <ul class="plain-list participants" aria-label={t('messages.details')}>
        {users.map((user) => (
          <li key={user}>
            <span class="grow" dir="auto">{nameOfPerson(plan, user)}</span>
            {mayChange && user !== person.user && <IconButton label={t('messages.takeOut', { name: nameOfPerson(plan, user) })} onClick={() => call('DELETE', pathOf(thread.id, 'participants', user))}><X size={16} /></IconButton>}
          </li>
        ))}
      </ul>
      {mayChange && <Adding users={users} onAdd={(user) => call('PUT', pathOf(thread.id, 'participants', user))} />}
      {users.includes(person.user) && (
        <>
          <Button onClick={() => call('PUT', pathOf(thread.id, 'muted'), { muted: !thread['muted'] })}>{t(thread['muted'] ? 'messages.unmute' : 'messages.mute')}</Button>
          <Button onClick={() => { call('DELETE', pathOf(thread.id, 'participants', person.user)); go({ view: 'messages' }) }}>{t('messages.leave')}</Button>
        </>
      )}
      {mayChange && <Button onClick={() => call('PATCH', pathOf(thread.id), { status: isOpen ? 'closed' : 'open' })}>{t(isOpen ? 'messages.end' : 'messages.reopen')}</Button>}
    </div>
  )
}

/** A button that opens them. */
export const Details = ({ thread }: { thread: ThreadSummary }) => {
  const plan = usePlan()
  const [isOpen, open] = useState(false)
  const call = (method: string, path: string, body?: object): void => {
    plan.wedding.call(method, path, body === undefined ? {} : { body }).then(() => threadsOf(plan).load(), toastRefusal)
  }
  return (
    <>
      <Button kind="quiet" onClick={() => open(true)}><Users size={16} />{t('messages.people', { n: thread.participants.length })}</Button>
      {isOpen && <Dialog title={thread.title} onClose={() => open(false)}><People thread={thread} call={call} /></Dialog>}
    </>
  )
}
