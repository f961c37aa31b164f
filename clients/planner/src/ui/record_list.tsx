// Rows of one kind in a card, each with its name and what a view shows beside it.
import type { Row } from 'crdt-server-client'
import type { ComponentChildren } from 'preact'
import { openRecord } from '../router.js'
import { conflictsOf } from '../state/conflicts.js'
import { usePlan } from '../state/context.js'
import { remove, titleOf } from '../kinds/actions.js'
import { mayRemove, type Kind } from '../kinds/kind.js'
import { t } from '../i18n/index.js'
import { focusBeside } from './beside.js'
import { IconButton } from './button.js'
import { AlertTriangle, Trash2 } from './icons.js'
import { RecordName } from './record_name.js'

interface RecordListProps<T> {
  kind: Kind<T>
  rows: readonly Row<T>[]
  onOpen: (id: string) => void
  before?: (row: Row<T>) => ComponentChildren
  after?: (row: Row<T>) => ComponentChildren
}

export const RecordList = <T,>({ kind, rows, onOpen, before, after }: RecordListProps<T>) => {
  const plan = usePlan()
  return (
    <ul class="record-list">
      {rows.map((row) => {
        const [trouble] = conflictsOf(plan, row.id)
        return (
          <li key={row.id} data-open={openRecord.value === row.id}>
            {before?.(row)}
            <div class="record-text">
              <RecordName kind={kind} row={row} onOpen={() => onOpen(row.id)} />
              {trouble && <a class="mark" href={`#/${plan.wedding.name}/conflicts/${encodeURIComponent(trouble.id)}`} aria-label={trouble.summary} title={trouble.summary}><AlertTriangle size={15} /></a>}
              {after && <div class="record-about">{after(row)}</div>}
            </div>
            {mayRemove(plan, kind, row.id) && (
              <IconButton label={t('record.remove', { name: titleOf(plan, kind, row) })} onClick={(event) => {
                focusBeside(event.currentTarget)
                remove(plan, kind, [row.id])
              }}><Trash2 size={16} /></IconButton>
            )}
          </li>
        )
      })}
    </ul>
  )
}
