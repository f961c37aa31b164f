// The way in for somebody the server does not know yet: a token, or the code of an invitation.
import { useState } from 'preact/hooks'
import { t } from '../i18n/index.js'
import { Rings } from '../shell/brand.js'
import { Button } from '../ui/button.js'
import { Field } from '../ui/field.js'
import { comeIn } from './open.js'

const LONGEST_PROOF = 8192

export const Entry = ({ why }: { why: string }) => {
  const [typed, setTyped] = useState('')
  const submit = (event: Event): void => {
    event.preventDefault()
    if (typed.trim() !== '') void comeIn(typed.trim())
  }
  return (
    <main class="entry">
      <form class="card" onSubmit={submit} autocomplete="off">
        <Rings />
        <h1>{t('entry.title')}</h1>
        {why !== '' && <p class="problem" role="alert">{why}</p>}
        <Field label={t('entry.proof')} hint={t('entry.hint')}>
          {(id, describedBy) => (
            <input id={id} aria-describedby={describedBy} value={typed} maxLength={LONGEST_PROOF} required spellcheck={false} autocapitalize="none"
              onInput={(event) => setTyped(event.currentTarget.value)} />
          )}
        </Field>
        <Button kind="primary" type="submit">{t('entry.go')}</Button>
      </form>
    </main>
  )
}
