// What is to be cooked: how many of each meal, diet and allergy, and for whom at which table. For the caterer on paper too.
import { useMemo, useState } from 'preact/hooks'
import { t, word } from '../../i18n/index.js'
import { hrefOf } from '../../router.js'
import { usePlan } from '../../state/context.js'
import { chairOf, FOODS, hasNeeds, keyOf, portionsOf, tableOf, type Portion } from '../../state/needs.js'
import { tableName, type Guest, type Plan } from '../../state/plan.js'
import { Button } from '../../ui/button.js'
import { Download, Printer, Utensils } from '../../ui/icons.js'
import { Empty, Page } from '../../ui/page.js'
import { exportForCaterer } from './export.js'

const WHO = ['yes', 'invited'] as const
/** For those to whom replies are not open; all come first, so that no allergy is missed. */
const WHO_BLINDLY = ['all', 'seated'] as const
type Who = (typeof WHO)[number] | (typeof WHO_BLINDLY)[number]

const byText = new Intl.Collator(undefined, { numeric: true }).compare

const isIn = (plan: Plan, guest: Guest, who: Who): boolean => {
  if (who === 'all') return true
  if (who === 'seated') return tableOf(plan, guest.id) !== ''
  const reply = plan.replyOf(guest)
  return who === 'yes' ? reply === 'yes' : reply !== 'no'
}

/** Those who come, or who may still come, in the order of tables and chairs. */
const guestsIn = (plan: Plan, who: Who): readonly Guest[] => plan.guests.value
  .filter((guest) => isIn(plan, guest, who))
  .map((guest) => ({ guest, table: tableOf(plan, guest.id) || '\uFFFF', chair: chairOf(plan, guest.id) || '\uFFFF' }))
  .sort((one, other) => byText(one.table, other.table) || byText(one.chair, other.chair) || byText(plan.called(one.guest), plan.called(other.guest)))
  .map(({ guest }) => guest)

const placeOf = (plan: Plan, guest: string): string => {
  const [table, chair] = [tableOf(plan, guest), chairOf(plan, guest)]
  if (table === '') return t('diets.noTable')
  return chair === '' ? tableName(table) : t('diets.place', { table: tableName(table), chair })
}

const PortionView = ({ portion }: { portion: Portion }) => {
  const plan = usePlan()
  const { family, name, guests, severe } = portion
  return (
    <details class="portion" data-food={keyOf(portion)} open={family === 'allergen'}>
      <summary><span>{word(family, name)}</span>{severe.size > 0 && <span class="chip bad">{t('diets.severe', { n: severe.size })}</span>}<strong>{guests.length}</strong></summary>
      <ul>
        {guests.map((guest) => (
          <li key={guest.id}>
            <a href={hrefOf({ view: 'guests', record: guest.id })} dir="auto">{plan.called(guest)}</a>
            {severe.has(guest.id) && <span class="chip bad">{word('degree', 'severe')}</span>}
            <span class="soft">{placeOf(plan, guest.id)}</span>
          </li>
        ))}
      </ul>
    </details>
  )
}

const Family = ({ family, portions }: { family: (typeof FOODS)[number]; portions: readonly Portion[] }) => (
  <section class="card" aria-labelledby={`diets-${family}`}>
    <h2 id={`diets-${family}`}>{word('foods', family)}</h2>
    {portions.length === 0 && <p class="soft">{t('diets.none')}</p>}
    {portions.map((portion) => <PortionView key={keyOf(portion)} portion={portion} />)}
  </section>
)

const Access = ({ guests }: { guests: readonly Guest[] }) => {
  const plan = usePlan()
  const helped = guests.flatMap((guest) => { const access = plan.careById.value.get(guest.id)?.access; return access ? [{ guest, access }] : [] })
  if (helped.length === 0) return null
  return (
    <section class="card portion" aria-labelledby="diets-access">
      <h2 id="diets-access">{t('care.access')}</h2>
      <ul>{helped.map(({ guest, access }) => <li key={guest.id}><a href={hrefOf({ view: 'guests', record: guest.id })} dir="auto">{plan.called(guest)}</a><span dir="auto">{access}</span><span class="soft">{placeOf(plan, guest.id)}</span></li>)}</ul>
    </section>
  )
}

/** On paper everything is open. */
const print = (): void => {
  for (const each of document.querySelectorAll<HTMLDetailsElement>('.portion')) each.open = true
  document.body.dataset['print'] = 'diets'
  window.print()
}

export const Diets = () => {
  const plan = usePlan()
  const [chosen, choose] = useState<Who>()
  const offered: readonly Who[] = plan.knowsReplies.value ? WHO : WHO_BLINDLY
  const who = chosen !== undefined && offered.includes(chosen) ? chosen : offered[0]!
  const inputs = [plan.guests.value, plan.care.value, plan.seats.value, plan.tables.value, plan.events.value, who]
  const guests = useMemo(() => guestsIn(plan, who), inputs)
  const portions = useMemo(() => portionsOf(plan, guests), inputs)
  if (!plan.wedding.care.isOpen) return <Page title={t('view.diets')}><Empty title={t('diets.closed')} icon={<Utensils size={40} />} /></Page>
  const withNeeds = guests.filter(({ id }) => hasNeeds(plan, id)).length
  const actions = (
    <>
      <Button onClick={print}><Printer size={16} />{t('action.print')}</Button>
      <Button onClick={() => exportForCaterer(plan, guests)}><Download size={16} />{t('diets.caterer')}</Button>
    </>
  )
  return (
    <Page title={t('view.diets')} summary={t('diets.summary', { n: guests.length, needs: withNeeds, open: guests.filter(({ meal }) => !meal).length })} actions={actions}>
      <div class="pills no-print" role="group" aria-label={t('guest.rsvp')}>
        {offered.map((each) => <button key={each} type="button" class="pill" aria-pressed={who === each} onClick={() => choose(each)}>{t(`diets.${each}`)}</button>)}
      </div>
      <div class="diets">{FOODS.map((family) => <Family key={family} family={family} portions={portions.filter((portion) => portion.family === family)} />)}</div>
      <Access guests={guests} />
    </Page>
  )
}
