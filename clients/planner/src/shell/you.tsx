// Who we are. Towards a server with `--dev` one may be anybody else, with that role's rights or without.
import { useState } from 'preact/hooks'
import { t, word } from '../i18n/index.js'
import { newPerson, pretend, pretended } from '../session/pretended.js'
import { ROLES } from '../state/people.js'
import { signOut } from '../session/open.js'
import { usePlan } from '../state/context.js'
import { valueOf } from '../state/follow.js'
import { Button } from '../ui/button.js'
import { Dialog } from '../ui/dialog.js'
import { CheckField, SelectField, TextField } from '../ui/field.js'
import { initials } from '../ui/person.js'

const roles = () => ROLES.map((role) => [role, word('role', role)] as const)

const Pretend = () => {
  const { members } = usePlan()
  const you = pretended.value
  const people = members.value.map((row) => [row.id, `${row.name ?? row.id}, ${word('role', row.role ?? 'guest')}`] as const)
  const become = (id: string): void => {
    const row = members.value.find((member) => member.id === id)
    const { role = 'couple', name = you.name, vendor = '', guest = '', side = '' } = row ?? {}
    pretend(row === undefined ? { user: newPerson(), vendor, guest, side } : { user: id, role, name, vendor, guest, side })
  }
  return (
    <div class="form">
      <p class="hint">{t('you.pretendHint')}</p>
      <SelectField label={t('you.person')} value={members.value.some(({ id }) => id === you.user) ? you.user : ''} choices={[['', t('you.myself')], ...people]} onChange={become} />
      <SelectField label={t('you.role')} value={you.role} choices={roles()} onChange={(role) => pretend({ role })} />
      <TextField label={t('field.name')} value={you.name} onCommit={(name) => { if (name.trim() !== '') pretend({ name: name.trim() }) }} />
      <CheckField label={t('you.enforce')} checked={you.enforce ?? false} onChange={(enforce) => pretend({ enforce })} />
    </div>
  )
}

export const You = ({ isProven }: { isProven: boolean }) => {
  const { wedding, members } = usePlan()
  const [isOpen, open] = useState(false)
  const { connection } = valueOf(wedding.status).value
  const { name, role } = wedding.person
  const known = members.value.find(({ id }) => id === wedding.person.id)?.name
  const shown = name || known || (isProven ? word('role', role) : pretended.value.name)
  return (
    <>
      <button type="button" class="you" onClick={() => open(true)} aria-label={t('you.button', { name: shown })}>
        <span class="face you-face" data-initials={initials(shown)} aria-hidden="true" />
      </button>
      {isOpen && (
        <Dialog title={shown} onClose={() => open(false)}>
          <p class="soft">{word('role', role)}</p>
          {!isProven && <Pretend />}
          <div class="stack">
            <CheckField label={t('you.offline')} checked={connection === 'offline'} onChange={(isOff) => (isOff ? wedding.goOffline() : wedding.goOnline())} />
            {isProven && <Button onClick={() => void signOut()}>{t('you.signOut')}</Button>}
          </div>
        </Dialog>
      )}
    </>
  )
}
