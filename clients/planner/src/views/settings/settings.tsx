// The wedding as a whole, its events and places, and the language of the page.
import type { rows, Row } from 'crdt-server-client'
import { CURRENCIES } from '../../format/money.js'
import { clock } from '../../format/time.js'
import { t, word, language, LANGUAGES, setLanguage, type Language } from '../../i18n/index.js'
import { EVENT, PLACE } from '../../kinds/index.js'
import type { AnyKind } from '../../kinds/kind.js'
import { go, openRecord } from '../../router.js'
import { usePlan } from '../../state/context.js'
import { rowsOf } from '../../state/follow.js'
import type { Plan } from '../../state/plan.js'
import { AddLine } from '../../ui/add_line.js'
import { SelectField, TextField } from '../../ui/field.js'
import { Page } from '../../ui/page.js'
import { RecordDrawer } from '../../ui/record_form.js'
import { RecordList } from '../../ui/record_list.js'
import { Removed } from '../../ui/removed.js'
import { People } from './people.js'
import { Preferences } from './preferences.js'
import { ZoneField } from './zone_field.js'

interface RecordsProps { plan: Plan; kind: AnyKind; title: string; add: string; about: (row: any) => string }

const Records = ({ plan, kind, title, add, about }: RecordsProps) => (
  <section class="card" aria-label={title}>
    <header class="card-head"><h2>{title}</h2><Removed kind={kind} /></header>
    <AddLine kind={kind} label={add} />
    <RecordList kind={kind} rows={rowsOf(kind.collection(plan)).value} onOpen={(record) => go({ view: 'settings', record })} after={(row) => <span class="soft grow" dir="auto">{about(row)}</span>} />
  </section>
)

const Details = ({ plan }: { plan: Plan }) => {
  const { details } = plan.wedding
  const value = plan.details.value
  const currency = value.currency ?? ''
  const field = (name: 'title' | 'date' | 'rsvpBy', label: string, type: 'text' | 'date' = 'text') => (
    <TextField label={label} type={type} value={String(value[name] ?? '')} disabled={!details.mayWrite(name)}
      onCommit={(text) => { details.update({ [name]: text.trim() === '' ? null : text.trim() }) }} />
  )
  return (
    <section class="card" aria-label={t('settings.wedding')}>
      <h2>{t('settings.wedding')}</h2>
      <div class="form two">
        {field('title', t('setup.names'))}
        {field('date', t('setup.date'), 'date')}
        {field('rsvpBy', t('settings.rsvpBy'), 'date')}
        <SelectField label={t('setup.currency')} value={currency} disabled={!details.mayWrite('currency')} onChange={(next) => details.update({ currency: next })}
          choices={[...new Set([currency, ...CURRENCIES])].map((each) => [each, each || '–'])} />
        <ZoneField value={value.timeZone ?? ''} disabled={!details.mayWrite('timeZone')} onCommit={(zone) => { details.update({ timeZone: zone || null }) }} />
        <SelectField label={t('settings.language')} value={language.value} choices={Object.entries(LANGUAGES)} onChange={(next) => setLanguage(next as Language)} />
      </div>
    </section>
  )
}

export const Settings = () => {
  const plan = usePlan()
  const id = openRecord.value
  const event = plan.events.value.find((row) => row.id === id)
  const place = plan.placeById.value.get(id)
  const close = (): void => go({ view: 'settings' })
  return (
    <Page title={t('view.settings')}>
      <Details plan={plan} />
      <Records plan={plan} kind={EVENT} title={t('settings.events')} add={t('settings.addEvent')}
        about={({ start, place }: Row<rows.Event>) => [clock(start), plan.placeById.value.get(place ?? '')?.name].filter(Boolean).join(' · ')} />
      <Records plan={plan} kind={PLACE} title={t('settings.places')} add={t('settings.addPlace')} about={({ kind = 'room' }: Row<rows.Place>) => word('placeKind', kind)} />
      <People />
      <Preferences />
      {event && <RecordDrawer key={id} kind={EVENT} row={event} onClose={close} />}
      {place && <RecordDrawer key={id} kind={PLACE} row={place} onClose={close} />}
    </Page>
  )
}
