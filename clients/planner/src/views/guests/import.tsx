// Guests from a spreadsheet: paste or choose a file, see what becomes of it, add all as one step that can be taken back.
import { problemsIn, type Wedding } from 'crdt-server-client'
import { useMemo, useState } from 'preact/hooks'
import { textOf } from '../../format/csv.js'
import { folded } from '../../format/text.js'
import { t, word } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import { fullName, type Plan } from '../../state/plan.js'
import { Button } from '../../ui/button.js'
import { Dialog } from '../../ui/dialog.js'
import { CheckField, Field } from '../../ui/field.js'
import { Upload } from '../../ui/icons.js'
import { toast } from '../../ui/toast.js'
import { COLUMNS, draftsOf, sheetOf, type Column, type Draft } from './csv.js'

const SHOWN_ROWS = 50

/** What does not fit a guest is left out of the draft, and shown as left out. */
interface Checked { readonly draft: Draft; readonly isKnown: boolean; readonly left: readonly string[] }

const fitting = (draft: Draft): { readonly draft: Draft; readonly left: readonly string[] } => {
  const left = problemsIn('guests.guests', draft.fields).map(({ field }) => field)
  return { draft: { ...draft, fields: Object.fromEntries(Object.entries(draft.fields).filter(([name]) => !left.includes(name))) }, left }
}

const check = (plan: Plan, drafts: readonly Draft[]): readonly Checked[] => {
  const known = new Set(plan.guests.value.map((guest) => folded(fullName(guest))))
  return drafts.map((read) => {
    const { draft, left } = fitting(read)
    const name = folded([draft.firstName, draft.lastName].filter(Boolean).join(' '))
    const isKnown = known.has(name)
    known.add(name)
    return { draft, isKnown, left }
  })
}

const each = <V,>(names: readonly string[], value: V): Readonly<Record<string, V>> => Object.fromEntries(names.map((name) => [name, value]))

const write = (wedding: Wedding, plan: Plan, drafts: readonly Draft[]): void => wedding.batch(() => {
  const households = new Map(plan.households.value.map(({ id, name = '' }) => [folded(name), id]))
  const event = plan.mainEvent.value?.id
  for (const { firstName, lastName, household, fields, rsvp, diets, allergies } of drafts) {
    let home = households.get(folded(household))
    if (home === undefined && household !== '') households.set(folded(household), home = wedding.households.add({ name: household }))
    const id = wedding.guests.add({
      firstName, ...(lastName === '' ? {} : { lastName }), ...(home === undefined ? {} : { household: home }),
      ...(rsvp === undefined || event === undefined ? {} : { rsvp: { [event]: rsvp } }), kind: 'adult', ...fields
    })
    if (diets.length + allergies.length === 0 || !wedding.care.mayWrite(id, 'diets.x')) continue
    // How bad it is, no list says: nobody is hurt by too much care.
    wedding.care.add({ id, diets: each(diets, true as const), allergies: each(allergies, 'severe' as const) })
  }
})

const Preview = ({ columns, onColumn, rows, checked }: { columns: readonly Column[]; onColumn: (at: number, column: Column) => void; rows: readonly (readonly string[])[]; checked: ReadonlyMap<number, Checked> }) => (
  <div class="preview" tabIndex={0} role="region" aria-label={t('import.preview')}>
    <table>
      <thead>
        <tr>
          {columns.map((column, at) => (
            <th key={at} scope="col">
              <select aria-label={t('import.column', { n: at + 1 })} value={column} onChange={(event) => onColumn(at, event.currentTarget.value as Column)}>
                {COLUMNS.map((each) => <option key={each} value={each}>{word('column', each)}</option>)}
              </select>
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.slice(0, SHOWN_ROWS).map((row, at) => (
          <tr key={at} data-known={checked.get(at)?.isKnown}>{columns.map((column, place) => <td key={place} data-skip={column === 'skip' || checked.get(at)?.left.includes(column)} dir="auto">{row[place]}</td>)}</tr>
        ))}
      </tbody>
    </table>
  </div>
)

/** `pasted`: the text that it begins with. */
export const ImportDialog = ({ pasted, onClose }: { pasted: string; onClose: () => void }) => {
  const plan = usePlan()
  const [text, setText] = useState(pasted)
  const [chosen, choose] = useState<Readonly<Record<number, Column>>>({})
  const [addsKnown, addKnown] = useState(false)
  const read = useMemo(() => sheetOf(text), [text])
  const columns = read.columns.map((column, at) => chosen[at] ?? column)
  const checked = check(plan, draftsOf({ ...read, columns }))
  const left = checked.reduce((sum, each) => sum + each.left.length, 0)
  const known = checked.filter(({ isKnown }) => isKnown).length
  const wanted = checked.filter(({ isKnown }) => addsKnown || !isKnown).map(({ draft }) => draft)
  const take = (next: string): void => {
    setText(next)
    choose({})
  }
  const finish = (): void => {
    write(plan.wedding, plan, wanted)
    onClose()
    toast(t('import.done', { n: wanted.length }), { action: { label: t('action.undo'), run: () => plan.wedding.undo() } })
  }
  const drop = async (event: DragEvent): Promise<void> => {
    event.preventDefault()
    const file = event.dataTransfer?.files[0]
    if (file) take(await textOf(file))
  }
  const footer = (
    <>
      {known > 0 && <CheckField label={t('import.known', { n: known })} checked={addsKnown} onChange={addKnown} />}
      <Button onClick={onClose}>{t('action.cancel')}</Button>
      <Button kind="primary" disabled={wanted.length === 0} onClick={finish}>{t('import.go', { n: wanted.length })}</Button>
    </>
  )
  return (
    <Dialog title={t('import.title')} onClose={onClose} footer={footer}>
      <div class="import" onDragOver={(event) => event.preventDefault()} onDrop={(event) => void drop(event)}>
        <Field label={t('import.paste')} hint={t('import.hint')}>
          {(id, describedBy) => <textarea id={id} aria-describedby={describedBy} rows={text === '' ? 8 : 3} value={text} dir="auto" placeholder={t('import.example')} onInput={(event) => take(event.currentTarget.value)} />}
        </Field>
        <label class="button plain file">
          <Upload size={16} aria-hidden="true" />{t('import.file')}
          <input type="file" accept=".csv,.tsv,.txt,text/csv" onChange={async (event) => { const [file] = event.currentTarget.files ?? []; if (file) take(await textOf(file)) }} />
        </label>
        {read.rows.length > 0 && <Preview columns={columns} onColumn={(at, column) => choose({ ...chosen, [at]: column })} rows={read.rows} checked={new Map(checked.map((each) => [each.draft.row, each]))} />}
        {left > 0 && <p class="problem">{t('import.left', { n: left })}</p>}
        {read.rows.length > SHOWN_ROWS && <p class="hint">{t('import.more', { n: read.rows.length - SHOWN_ROWS })}</p>}
      </div>
    </Dialog>
  )
}
