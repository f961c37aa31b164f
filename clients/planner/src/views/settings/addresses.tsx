// The addresses to which messages are sent. One of mail or a phone is in use as soon as the code that was sent there is typed.
import { useEffect, useState } from 'preact/hooks'
import { t, word } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import { Button, IconButton } from '../../ui/button.js'
import { Field, SelectField, TextField } from '../../ui/field.js'
import { Trash2 } from '../../ui/icons.js'
import { toastRefusal } from '../../ui/toast.js'

interface Contact {
  readonly id: string
  readonly channel: string
  readonly address: string
  readonly confirmed_at: string | null
  readonly disabled_at: string | null
}

const CODE = /^\d{6}$/

const NewAddress = ({ onAdd }: { onAdd: (channel: string, address: string) => void }) => {
  const [channel, choose] = useState('mail')
  const [address, setAddress] = useState('')
  const submit = (event: Event): void => {
    event.preventDefault()
    if (address.trim() === '') return
    onAdd(channel, address.trim())
    setAddress('')
  }
  return (
    <form class="two narrow" onSubmit={submit}>
      <SelectField label={t('preferences.channel')} value={channel} choices={['mail', 'sms'].map((each) => [each, word('channel', each)])} onChange={choose} />
      <Field label={t('addresses.address')}>
        {(id) => <input id={id} type={channel === 'mail' ? 'email' : 'tel'} value={address} onInput={(event) => setAddress(event.currentTarget.value)} />}
      </Field>
      <Button type="submit" disabled={address.trim() === ''}>{t('addresses.add')}</Button>
    </form>
  )
}

export const Addresses = () => {
  const { wedding } = usePlan()
  const [contacts, setContacts] = useState<readonly Contact[]>([])
  const load = (): Promise<void> => wedding.call('GET', 'contacts').then(({ contacts: found }) => setContacts(found))
  useEffect(() => { load().catch(() => {}) }, [wedding]) // without a connection there is nothing to show
  const call = (method: string, path: string, body?: object): void => {
    wedding.call(method, path, body === undefined ? {} : { body }).then(load).catch(toastRefusal)
  }
  const confirm = (id: string) => (code: string): string | undefined => {
    if (!CODE.test(code.trim())) return t('form.unreadable')
    call('POST', `contacts/${encodeURIComponent(id)}/confirmation`, { code: code.trim() })
    return undefined
  }
  return (
    <section class="addresses" aria-labelledby="addresses-title">
      <h3 id="addresses-title">{t('addresses.title')}</h3>
      <ul class="plain-list">
        {contacts.map(({ id, channel, address, confirmed_at: confirmed, disabled_at: disabled }) => (
          <li key={id}>
            <span class="chip">{word('channel', channel)}</span>
            <span class="grow" dir="auto">{address}</span>
            {disabled !== null && <span class="late">{t('addresses.disabled')}</span>}
            {confirmed === null && disabled === null && <TextField label={t('addresses.code')} inputMode="numeric" value="" onCommit={confirm(id)} />}
            <IconButton label={t('record.remove', { name: address })} onClick={() => call('DELETE', `contacts/${encodeURIComponent(id)}`)}><Trash2 size={16} /></IconButton>
          </li>
        ))}
      </ul>
      <NewAddress onAdd={(channel, address) => call('PUT', 'contacts', { channel, address })} />
    </section>
  )
}
