// Payments on a calendar: what was paid on which day, and what falls due.
import { useState } from 'preact/hooks'
import { plusDays } from '../../format/time.js'
import { dateLocale, t } from '../../i18n/index.js'
import { hrefOf } from '../../router.js'
import { usePlan } from '../../state/context.js'
import type { Plan } from '../../state/plan.js'
import { IconButton } from '../../ui/button.js'
import { ChevronLeft, ChevronRight } from '../../ui/icons.js'

interface Entry { readonly id: string; readonly item: string; readonly name: string; readonly amount: number; readonly isPaid: boolean }

const WEEK = 7

/** Payments and dues, by day. */
const entriesOf = (plan: Plan): ReadonlyMap<string, readonly Entry[]> => {
  const days = new Map<string, Entry[]>()
  const put = (day: string, entry: Entry): void => { days.set(day, [...days.get(day) ?? [], entry]) }
  for (const item of plan.costs.value) {
    const name = item.name ?? ''
    for (const { id, on, amount, kind } of plan.paidByItem.value.get(item.id) ?? []) put(on, { id, item: item.id, name, amount: kind === 'refund' ? -amount : amount, isPaid: true })
    const left = plan.sumsOf([item]).agreed - plan.paidFor(item)
    if (item.due !== undefined && left > 0) put(item.due, { id: item.id, item: item.id, name, amount: left, isPaid: false })
  }
  return days
}

const monthOf = (day: string): string => day.slice(0, 7)

const nextMonth = (month: string, step: 1 | -1): string => {
  const date = new Date(`${month}-01T00:00:00Z`)
  date.setUTCMonth(date.getUTCMonth() + step)
  return date.toISOString().slice(0, 7)
}

/** Weeks from Monday to Sunday that have days of a month. */
const weeksOf = (month: string): string[][] => {
  const first = `${month}-01`
  const weekday = (new Date(`${first}T00:00:00Z`).getUTCDay() + 6) % WEEK
  const weeks: string[][] = []
  for (let day = plusDays(first, -weekday); monthOf(day) <= month; day = plusDays(day, WEEK)) weeks.push(Array.from({ length: WEEK }, (_, at) => plusDays(day, at)))
  return weeks
}

const dated = (day: string, format: Intl.DateTimeFormatOptions): string => new Intl.DateTimeFormat(dateLocale(), { timeZone: 'UTC', ...format }).format(new Date(`${day}T00:00:00Z`))

const DayCell = ({ plan, day, entries, month, today }: { plan: Plan; day: string; entries: readonly Entry[]; month: string; today: string }) => (
  <td data-other={monthOf(day) !== month} data-today={day === today}>
    <time dateTime={day}>{Number(day.slice(8))}</time>
    {entries.map(({ id, item, name, amount, isPaid }) => (
      <a key={id} href={hrefOf({ view: 'budget', record: item })} class={`chip ${isPaid ? 'good' : day < today ? 'bad' : 'busy'}`} title={`${name}, ${t(isPaid ? 'budget.paid' : 'budget.due')}`}>
        <b data-amount={plan.figure(amount)}><span>{plan.roundMoney(amount)}</span></b> <span dir="auto">{name}</span><span class="unseen">, {t(isPaid ? 'budget.paid' : 'budget.due')}</span>
      </a>
    ))}
  </td>
)

export const PaymentCalendar = () => {
  const plan = usePlan()
  const entries = entriesOf(plan)
  const today = plan.today()
  const nextDue = [...entries].filter(([day, list]) => day >= today && list.some(({ isPaid }) => !isPaid)).map(([day]) => day).sort()[0]
  const [month, setMonth] = useState(monthOf(nextDue ?? today))
  const weeks = weeksOf(month)
  return (
    <section class="card calendar" aria-labelledby="calendar-title">
      <header class="card-head">
        <h2 id="calendar-title" aria-live="polite">{dated(`${month}-01`, { month: 'long', year: 'numeric' })}</h2>
        <div>
          <IconButton label={t('calendar.before')} onClick={() => setMonth(nextMonth(month, -1))}><ChevronLeft size={18} /></IconButton>
          <IconButton label={t('calendar.next')} onClick={() => setMonth(nextMonth(month, 1))}><ChevronRight size={18} /></IconButton>
        </div>
      </header>
      <table>
        <thead><tr>{weeks[0]!.map((day) => <th key={day} scope="col">{dated(day, { weekday: 'short' })}</th>)}</tr></thead>
        <tbody>{weeks.map((week) => <tr key={week[0]}>{week.map((day) => <DayCell key={day} plan={plan} day={day} entries={entries.get(day) ?? []} month={month} today={today} />)}</tr>)}</tbody>
      </table>
    </section>
  )
}
