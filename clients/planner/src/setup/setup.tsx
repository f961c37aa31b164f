// An empty wedding begins here: whose it is, when, where, and what it begins with.
import { useState } from 'preact/hooks'
import { CURRENCIES, parseMoney } from '../format/money.js'
import { longDate } from '../format/time.js'
import { language, t, type Key } from '../i18n/index.js'
import { Rings } from '../shell/brand.js'
import type { Plan } from '../state/plan.js'
import { Button } from '../ui/button.js'
import { Field } from '../ui/field.js'
import { beginWedding, TEMPLATES, type Template } from './templates.js'

const LONGEST = 200

/** Nothing is planned, nobody has said yet when it is, and we are somebody who may. */
export const isEmpty = ({ wedding, details, guests, items, costs, tables }: Plan): boolean =>
  !details.value.date && wedding.details.isOpen && wedding.details.mayWrite('date') &&
  [guests, items, costs, tables].every(({ value }) => value.length === 0)

interface Typed { title: string; date: string; place: string; currency: string; limit: string; template: Template }

const TemplateChoice = ({ value, onChange }: { value: Template; onChange: (template: Template) => void }) => (
  <fieldset class="templates">
    <legend>{t('setup.template')}</legend>
    {TEMPLATES.map((name) => (
      <label key={name} data-chosen={name === value}>
        <input type="radio" name="template" value={name} checked={name === value} onChange={() => onChange(name)} />
        <strong>{t(`setup.template.${name}` as Key)}</strong>
        <span>{t(`setup.template.${name}.about` as Key)}</span>
      </label>
    ))}
  </fieldset>
)

export const Setup = ({ plan }: { plan: Plan }) => {
  const { wedding, details } = plan
  const [typed, setTyped] = useState<Typed>({
    title: details.value.title ?? '', date: '', place: '', currency: details.value.currency ?? 'EUR', limit: '', template: 'classic'
  })
  const [isRefused, refuse] = useState(false)
  const set = (more: Partial<Typed>): void => setTyped({ ...typed, ...more })
  const input = (name: 'title' | 'date' | 'place' | 'limit', more: object = {}) => (id: string, describedBy: string | undefined) =>
    <input id={id} aria-describedby={describedBy} value={typed[name]} maxLength={LONGEST} dir="auto" onInput={(event) => set({ [name]: event.currentTarget.value })} {...more} />
  const submit = (event: Event): void => {
    event.preventDefault()
    const limit = parseMoney(typed.limit, typed.currency)
    const isUnreadable = typed.limit.trim() !== '' && limit === undefined
    refuse(isUnreadable)
    if (isUnreadable) return
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions()
    beginWedding(wedding, { ...typed, title: typed.title.trim(), place: typed.place.trim(), limit, timeZone, locale: language.value })
  }
  return (
    <main class="setup">
      <form class="card" onSubmit={submit}>
        <Rings />
        <h1>{t('setup.title')}</h1>
        <p class="soft">{t('setup.about')}</p>
        <Field label={t('setup.names')}>{input('title', { required: true, placeholder: t('setup.namesExample') })}</Field>
        <div class="two">
          <Field label={t('setup.date')} hint={typed.date === '' ? '' : longDate(typed.date)}>{input('date', { type: 'date', required: true })}</Field>
          <Field label={t('setup.place')}>{input('place', { placeholder: t('setup.placeExample') })}</Field>
        </div>
        <div class="two">
          <Field label={t('setup.limit')} problem={isRefused ? t('form.unreadable') : undefined}>{input('limit', { inputMode: 'decimal', placeholder: '30 000' })}</Field>
          <Field label={t('setup.currency')}>
            {(id) => <select id={id} value={typed.currency} onChange={(event) => set({ currency: event.currentTarget.value })}>{CURRENCIES.map((each) => <option key={each}>{each}</option>)}</select>}
          </Field>
        </div>
        <TemplateChoice value={typed.template} onChange={(template) => set({ template })} />
        <Button kind="primary" type="submit">{t('setup.go')}</Button>
      </form>
    </main>
  )
}
