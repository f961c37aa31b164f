// A line in which a name is typed and added with Enter, one after the other.
import type { Row } from 'crdt-server-client'
import { useState } from 'preact/hooks'
import { t } from '../i18n/index.js'
import { addNamed } from '../kinds/actions.js'
import { mayAdd, type Kind } from '../kinds/kind.js'
import { usePlan } from '../state/context.js'
import { Button } from './button.js'
import { Plus } from './icons.js'

interface AddLineProps<T> {
  kind: Kind<T>
  label: string
  more?: () => Partial<T>
  onAdded?: (id: string, row: Row<T> | undefined) => void
}

export const AddLine = <T,>({ kind, label, more, onAdded }: AddLineProps<T>) => {
  const plan = usePlan()
  const [name, setName] = useState('')
  if (!mayAdd(plan, kind)) return null
  const submit = (event: Event): void => {
    event.preventDefault()
    if (name.trim() === '') return
    const id = addNamed(plan, kind, name.trim(), more?.())
    if (id === undefined) return
    setName('')
    onAdded?.(id, kind.collection(plan).get(id))
  }
  return (
    <form class="add-line" onSubmit={submit}>
      <Plus size={18} aria-hidden="true" />
      <input value={name} placeholder={label} aria-label={label} dir="auto" onInput={(event) => setName(event.currentTarget.value)} />
      {name.trim() !== '' && <Button kind="primary" type="submit">{t('action.add')}</Button>}
    </form>
  )
}
