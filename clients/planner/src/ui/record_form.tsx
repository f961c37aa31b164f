// The fields of one record. Each is written when it is left, alone: what others write beside it stays.
import type { Row } from 'crdt-server-client'
import { useEffect } from 'preact/hooks'
import { clock, duration, parseClock, parseDuration } from '../format/time.js'
import { moneyText, parseMoney } from '../format/money.js'
import { codeOf } from '../format/text.js'
import { t, meantBy, word, wordsOf } from '../i18n/index.js'
import { change, remove, titleOf } from '../kinds/actions.js'
import { mayRemove, type Kind, type KindField, type Sort } from '../kinds/kind.js'
import { usePlan } from '../state/context.js'
import type { Plan } from '../state/plan.js'
import { Button } from './button.js'
import { Drawer } from './dialog.js'
import { CheckField, Segments, SelectField, TextField, type TextInputProps } from './field.js'
import { Trash2 } from './icons.js'

interface Reading {
  readonly show: (value: any, plan: Plan, words?: string) => string
  /** undefined: what was typed is no such value. */
  readonly read: (text: string, plan: Plan, words?: string) => unknown
  readonly input?: Pick<TextInputProps, 'type' | 'inputMode' | 'isLong'>
}

const plain = (value: unknown): string => (value === undefined || value === null ? '' : String(value))
const asText: Reading = { show: plain, read: (text) => text.trim() }
const READINGS: Readonly<Partial<Record<Sort, Reading>>> = {
  text: asText,
  long: { show: plain, read: (text) => text, input: { isLong: true } },
  email: { ...asText, input: { type: 'email' } },
  phone: { ...asText, input: { type: 'tel' } },
  date: { ...asText, input: { type: 'date' } },
  code: { show: (value, _, words = '') => word(words, plain(value)), read: (text, _, words = '') => meantBy(words, text) ?? (codeOf(text) || undefined) },
  number: { show: plain, read: (text) => (/^\d{1,9}$/.test(text.trim()) ? Number(text) : undefined), input: { inputMode: 'numeric' } },
  clock: { show: clock, read: parseClock },
  duration: { show: (value) => (value === undefined ? '' : duration(value)), read: parseDuration },
  money: { show: (value, plan) => moneyText(value, plan.currency.value, plan.locale.value), read: (text, plan) => parseMoney(text, plan.currency.value), input: { inputMode: 'decimal' } }
}

interface OneProps<T> { kind: Kind<T>; row: Row<T>; field: KindField<T> }

const OneField = <T,>({ kind, row, field }: OneProps<T>) => {
  const plan = usePlan()
  const { name, member, sort } = field
  const whole = row[name] as any
  const value = member === undefined ? whole : whole?.[member]
  const label = field.text ?? t(field.label)
  const disabled = !kind.collection(plan).mayWrite(row.id, member === undefined ? name : `${name}.${member}`)
  const write = (next: unknown): string | undefined =>
    change(plan, kind, row.id, { [name]: member === undefined ? next : { [member]: next } } as any)
  if (sort === 'flag') return <CheckField label={label} checked={value === true} disabled={disabled} onChange={(checked) => write(checked)} />
  if (sort === 'choice' || sort === 'segments') {
    const Part = sort === 'choice' ? SelectField : Segments
    const choices = field.choices?.(plan, row) ?? []
    return <Part label={label} value={plain(value ?? field.absent)} choices={choices} disabled={disabled} onChange={(next) => write(next === '' ? null : next)} />
  }
  const reading = READINGS[sort] ?? asText
  const commit = (text: string): string | undefined => {
    const next = text.trim() === '' ? null : reading.read(text, plan, field.words)
    return next === undefined ? t('form.unreadable') : write(next)
  }
  return <TextField label={label} value={reading.show(value, plan, field.words)} onCommit={commit} disabled={disabled} hint={field.hint && t(field.hint)}
    offered={field.words === undefined ? [] : wordsOf(field.words).map((each) => word(field.words!, each))} {...reading.input} />
}

export const RecordForm = <T,>({ kind, row }: { kind: Kind<T>; row: Row<T> }) => {
  const plan = usePlan()
  return (
    <div class="form">
      {kind.fields(plan, row).map((field) => <OneField key={field.name + (field.member ?? '')} kind={kind} row={row} field={field} />)}
    </div>
  )
}

/** A record beside its list. */
export const RecordDrawer = <T,>({ kind, row, onClose, children }: { kind: Kind<T>; row: Row<T>; onClose: () => void; children?: preact.ComponentChildren }) => {
  const plan = usePlan()
  const { presence } = plan.wedding
  useEffect(() => {
    presence.set({ at: { collection: kind.collection(plan).name, record: row.id } })
    return () => presence.set({ at: null })
  }, [row.id])
  const take = (): void => {
    onClose()
    remove(plan, kind, [row.id])
  }
  const footer = mayRemove(plan, kind, row.id) && <Button kind="danger" onClick={take}><Trash2 size={16} />{t('action.remove')}</Button>
  return (
    <Drawer title={titleOf(plan, kind, row)} onClose={onClose} footer={footer}>
      <RecordForm kind={kind} row={row} />
      {children}
    </Drawer>
  )
}
