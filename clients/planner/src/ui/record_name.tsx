// The name of a record in a list: a press opens it, F2 or a double press renames it on the spot, Delete removes it.
import type { Row } from 'crdt-server-client'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { t } from '../i18n/index.js'
import { change, remove, titleOf } from '../kinds/actions.js'
import { mayRemove, type Kind } from '../kinds/kind.js'
import { usePlan } from '../state/context.js'
import { focusBeside } from './beside.js'

interface RecordNameProps<T> {
  kind: Kind<T>
  row: Row<T>
  onOpen: () => void
  /** What is typed over when it is renamed, where that is not its title. */
  typed?: string
}

export const RecordName = <T,>({ kind, row, onOpen, typed }: RecordNameProps<T>) => {
  const plan = usePlan()
  const [isRenaming, rename] = useState(false)
  const button = useRef<HTMLButtonElement>(null)
  const wasRenaming = useRef(false)
  useLayoutEffect(() => {
    if (wasRenaming.current && !isRenaming) button.current?.focus()
    wasRenaming.current = isRenaming
  }, [isRenaming])
  const mayRename = kind.collection(plan).mayWrite(row.id, Object.keys(kind.named('x'))[0] ?? '')
  const key = (event: KeyboardEvent): void => {
    if (event.key === 'F2' && mayRename) rename(true)
    else if (event.key === 'Delete' && mayRemove(plan, kind, row.id)) {
      focusBeside(event.currentTarget as Element)
      remove(plan, kind, [row.id])
    }
    else return
    event.preventDefault()
  }
  if (isRenaming) return <NameInput kind={kind} row={row} before={typed ?? titleOf(plan, kind, row)} onDone={() => rename(false)} />
  return (
    <button type="button" class="record-name" ref={button} dir="auto" data-record={row.id} aria-keyshortcuts="F2 Delete"
      onClick={onOpen} onDblClick={() => mayRename && rename(true)} onKeyDown={key}>
      {titleOf(plan, kind, row)}
    </button>
  )
}

const NameInput = <T,>({ kind, row, before, onDone }: { kind: Kind<T>; row: Row<T>; before: string; onDone: () => void }) => {
  const plan = usePlan()
  const input = useRef<HTMLInputElement>(null)
  useLayoutEffect(() => input.current?.select(), []) // before the next key is pressed
  const commit = (): void => {
    const name = input.current?.value.trim() ?? ''
    if (name !== '' && name !== before) change(plan, kind, row.id, kind.named(name))
    onDone()
  }
  const key = (event: KeyboardEvent): void => {
    if ((event.key !== 'Enter' && event.key !== 'Escape') || event.isComposing) return
    event.preventDefault() // else the same press clicks the button, if it has the focus by then
    event.stopPropagation()
    if (event.key === 'Enter') commit()
    else onDone()
  }
  return <input class="rename" ref={input} defaultValue={before} aria-label={t('action.rename')} dir="auto" onKeyDown={key} onBlur={commit} />
}
