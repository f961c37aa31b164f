// Inputs with a label. What is typed is given on when the person leaves the input or presses Enter; Escape takes it back.
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'

interface FieldProps {
  label: string
  problem?: string | undefined
  hint?: string | undefined
  children: (id: string, describedBy: string | undefined) => ComponentChildren
}

export const Field = ({ label, problem, hint, children }: FieldProps) => {
  const id = useId()
  const below = problem ?? hint
  return (
    <div class="field" data-bad={problem !== undefined}>
      <label for={id}>{label}</label>
      {children(id, below === undefined ? undefined : id + '-below')}
      {below !== undefined && <p class={problem ? 'problem' : 'hint'} id={id + '-below'} role={problem ? 'alert' : undefined}>{below}</p>}
    </div>
  )
}

export interface TextInputProps {
  value: string
  /** Returns what is wrong with it, or nothing. */
  onCommit: (value: string) => string | undefined | void
  label: string
  isLong?: boolean
  disabled?: boolean
  placeholder?: string
  type?: 'text' | 'date' | 'time' | 'email' | 'tel'
  inputMode?: 'numeric' | 'decimal' | 'text'
  hint?: string | undefined
  /** What may be meant, offered while somebody types. */
  offered?: readonly string[]
}

/** A text that is shared: what others write appears unless somebody is typing here. */
export const TextField = ({ value, onCommit, label, isLong = false, disabled = false, placeholder, type = 'text', inputMode, hint, offered = [] }: TextInputProps) => {
  const [typed, setTyped] = useState<string>()
  const [problem, setProblem] = useState<string>()
  const isLeaving = useRef(false)
  useEffect(() => { setProblem(undefined) }, [value])
  const commit = (): void => {
    if (typed === undefined || isLeaving.current) return
    const wrong = typed === value ? undefined : onCommit(typed) || undefined
    setProblem(wrong)
    if (wrong === undefined) setTyped(undefined)
  }
  const key = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' && !isLong) commit()
    if (event.key !== 'Escape' || typed === undefined) return
    event.preventDefault()
    setTyped(undefined)
    setProblem(undefined)
  }
  return (
    <Field label={label} problem={problem} hint={hint}>
      {(id, describedBy) => {
        const shared = {
          id, disabled, placeholder, dir: 'auto' as const, value: typed ?? value, 'aria-invalid': problem !== undefined, 'aria-describedby': describedBy,
          onInput: (event: Event) => setTyped((event.currentTarget as HTMLInputElement).value), onBlur: commit, onKeyDown: key
        }
        if (offered.length > 0) return <><input list={id + '-offered'} {...shared} /><datalist id={id + '-offered'}>{offered.map((each) => <option key={each} value={each} />)}</datalist></>
        return isLong ? <textarea rows={3} {...shared} /> : <input type={type} inputMode={inputMode} {...shared} />
      }}
    </Field>
  )
}

export type Choice = readonly [value: string, label: string]

interface SelectFieldProps {
  label: string
  value: string
  choices: readonly Choice[]
  onChange: (value: string) => void
  disabled?: boolean
}

export const SelectField = ({ label, value, choices, onChange, disabled = false }: SelectFieldProps) => (
  <Field label={label}>
    {(id) => (
      <select id={id} value={value} disabled={disabled} onChange={(event) => onChange(event.currentTarget.value)}>
        {choices.map(([each, name]) => <option key={each} value={each}>{name}</option>)}
      </select>
    )}
  </Field>
)

/** Choices that are all in sight. */
export const Segments = ({ label, value, choices, onChange, disabled = false }: SelectFieldProps) => {
  const id = useId()
  return (
    <fieldset class="segments" disabled={disabled}>
      <legend>{label}</legend>
      <div>
        {choices.map(([each, name]) => (
          <label key={each} data-chosen={each === value}>
            <input type="radio" name={id} value={each} checked={each === value} onChange={() => onChange(each)} />
            <span>{name}</span>
          </label>
        ))}
      </div>
    </fieldset>
  )
}

export const CheckField = ({ label, checked, onChange, disabled = false }: { label: string; checked: boolean; onChange: (checked: boolean) => void; disabled?: boolean }) => (
  <label class="check">
    <input type="checkbox" checked={checked} disabled={disabled} onChange={(event) => onChange(event.currentTarget.checked)} />
    <span>{label}</span>
  </label>
)
