// What counts today: how long there is, who comes, the money, what waits for a decision, what is next, who is here.
import type { ComponentChildren } from 'preact'
import { ago, clock, daysBetween, longDate, relativeDay } from '../../format/time.js'
import { t, word, type Key } from '../../i18n/index.js'
import { change } from '../../kinds/actions.js'
import { TASK } from '../../kinds/index.js'
import { hrefOf, type View } from '../../router.js'
import { openConflicts } from '../../state/conflicts.js'
import { usePlan } from '../../state/context.js'
import { othersHere } from '../../state/people.js'
import type { Plan, Reply } from '../../state/plan.js'
import { LayerBar, Legend, Ring, type Part } from '../../ui/charts.js'
import { AlertTriangle, ChevronRight } from '../../ui/icons.js'
import { Face } from '../../ui/person.js'

const FEW = 5
const TONES: Readonly<Record<Reply, string>> = { yes: 'good', maybe: 'busy', pending: 'wait', no: 'bad' }

const Card = ({ title, to, children, area }: { title: string; to?: View; children: ComponentChildren; area: string }) => (
  <section class={`card ${area}`} aria-label={title}>
    <header class="card-head">
      <h2>{title}</h2>
      {to && <a class="card-link" href={hrefOf({ view: to })}>{t('overview.all')}<ChevronRight size={16} aria-hidden="true" /><span class="unseen">{title}</span></a>}
    </header>
    {children}
  </section>
)

const Countdown = ({ plan }: { plan: Plan }) => {
  const { date, title } = plan.details.value
  const left = date ? daysBetween(plan.today(), date) : undefined
  const venue = plan.placeById.value.get(plan.mainEvent.value?.place ?? '')?.name
  return (
    <section class="card countdown" aria-labelledby="page-title">
      <div>
        <h1 id="page-title" tabIndex={-1} dir="auto">{title}</h1>
        <p class="soft">{[date && longDate(date), venue].filter(Boolean).join(' · ')}</p>
      </div>
      {left !== undefined && (
        <p class="days">{left !== 0 && <strong>{Math.abs(left).toLocaleString()}</strong>} {left === 0 ? <strong>{t('overview.today')}</strong> : left > 0 ? t('overview.daysLeft', { n: left }) : t('overview.daysSince', { n: -left })}</p>
      )}
    </section>
  )
}

const Replies = ({ plan }: { plan: Plan }) => {
  const counts = plan.replies.value
  const parts: Part[] = (['yes', 'maybe', 'pending', 'no'] as const).map((reply) => ({ name: word('reply', reply), value: counts[reply], tone: TONES[reply] }))
  const invited = plan.guests.value.length
  const { rsvpBy, date } = plan.details.value
  const isOver = date !== undefined && date <= plan.today()
  return (
    <Card title={t('overview.replies')} to="guests" area="replies">
      {invited === 0 ? <p class="soft">{t('overview.noGuests')}</p> : (
        <div class="ring-row">
          <Ring parts={parts}><strong>{counts.yes}</strong><span>{t('overview.ofInvited', { n: invited })}</span></Ring>
          <Legend parts={parts} />
        </div>
      )}
      {rsvpBy && counts.pending > 0 && !isOver && <p class="hint">{t('overview.rsvpBy', { when: relativeDay(rsvpBy, plan.today()) })}</p>}
    </Card>
  )
}

const Money = ({ plan }: { plan: Plan }) => {
  const { planned, agreed, paid } = plan.totals.value
  const limit = plan.limits.value.limit ?? 0
  const over = limit > 0 && planned > limit
  const layers: Part[] = [
    { name: 'planned', value: planned, tone: over ? 'over' : 'planned' }, { name: 'agreed', value: agreed, tone: 'agreed' }, { name: 'paid', value: paid, tone: 'paid' }
  ]
  const line = (label: Key, value: number, tone: string) => <div><dt><span class={`dot ${tone}`} aria-hidden="true" />{t(label)}</dt><dd>{plan.roundMoney(value)}</dd></div>
  return (
    <Card title={t('view.budget')} to="budget" area="money-card">
      <LayerBar limit={limit} layers={layers} />
      <dl class="figures">
        {line('budget.planned', planned, over ? 'over' : 'planned')}
        {line('budget.agreed', agreed, 'agreed')}
        {line('budget.paid', paid, 'paid')}
        {line('budget.due', Math.max(agreed - paid, 0), 'due')}
      </dl>
      {limit > 0 && <p class={over ? 'problem' : 'hint'}>{t(over ? 'overview.over' : 'overview.left', { amount: plan.roundMoney(Math.abs(limit - planned)), limit: plan.roundMoney(limit) })}</p>}
    </Card>
  )
}

const Decisions = ({ plan }: { plan: Plan }) => {
  const open = openConflicts(plan).value
  const now = Date.parse(plan.wedding.now())
  return (
    <Card title={t('overview.decisions')} to="conflicts" area="decisions">
      {open.length === 0 ? <p class="soft">{t('overview.noDecisions')}</p> : (
        <ul class="lines">
          {open.slice(0, FEW).map(({ id, summary, severity, at }) => (
            <li key={id} data-severity={severity}>
              <AlertTriangle size={16} aria-hidden="true" />
              <a href={hrefOf({ view: 'conflicts', record: id })} dir="auto">{summary}</a>
              <span class="soft">{ago(at, now)}</span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}

const NextTasks = ({ plan }: { plan: Plan }) => {
  const today = plan.today()
  const due = plan.tasks.value.filter(({ done }) => done === undefined).sort((one, other) => (one.due ?? '9').localeCompare(other.due ?? '9'))
  const finish = (id: string): void => { change(plan, TASK, id, { done: { at: plan.wedding.now(), by: plan.wedding.person.id } }) }
  return (
    <Card title={t('overview.tasks')} to="tasks" area="next-tasks">
      {due.length === 0 ? <p class="soft">{t(plan.tasks.value.length === 0 ? 'tasks.none' : 'overview.noTasks')}</p> : (
        <ul class="lines">
          {due.slice(0, FEW).map(({ id, title = '', due: day }) => (
            <li key={id}>
              <input type="checkbox" aria-label={t('task.finish', { name: title })} disabled={!plan.wedding.tasks.mayWrite(id, 'done')} onChange={() => finish(id)} />
              <a href={hrefOf({ view: 'tasks', record: id })} dir="auto">{title}</a>
              {day && <span class={day < today ? 'late' : 'soft'}>{relativeDay(day, today)}</span>}
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}

const NextPayments = ({ plan }: { plan: Plan }) => {
  const today = plan.today()
  const due = plan.costs.value
    .map((item) => ({ item, left: plan.sumsOf([item]).agreed - plan.paidFor(item) }))
    .filter(({ item, left }) => item.due !== undefined && left > 0)
    .sort((one, other) => one.item.due!.localeCompare(other.item.due!))
  return (
    <Card title={t('overview.payments')} to="budget" area="next-payments">
      {due.length === 0 ? <p class="soft">{t('overview.noPayments')}</p> : (
        <ul class="lines">
          {due.slice(0, FEW).map(({ item, left }) => (
            <li key={item.id}>
              <strong class="amount">{plan.roundMoney(left)}</strong>
              <a href={hrefOf({ view: 'budget', record: item.id })} dir="auto">{item.name}</a>
              <span class={item.due! < today ? 'late' : 'soft'}>{relativeDay(item.due!, today)}</span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}

const Day = ({ plan }: { plan: Plan }) => (
  <Card title={t('overview.day')} to="timeline" area="day-card">
    <ol class="moments">
      {plan.items.value.filter(({ keyMoment }) => keyMoment).slice(0, FEW + 2).map(({ id, start, title }) => (
        <li key={id}><time>{clock(start)}</time><a href={hrefOf({ view: 'timeline', record: id })} dir="auto">{title}</a></li>
      ))}
    </ol>
    {plan.items.value.every(({ keyMoment }) => !keyMoment) && <p class="soft">{plan.items.value.length === 0 ? t('timeline.none') : t('overview.noMoments', { n: plan.items.value.length })}</p>}
  </Card>
)

const Here = ({ plan }: { plan: Plan }) => {
  const others = othersHere(plan).value
  return (
    <Card title={t('overview.here')} area="here">
      {others.length === 0 ? <p class="soft">{t('overview.alone')}</p> : (
        <ul class="lines people">
          {others.map(({ key, name, role, color, section }) => (
            <li key={key}><Face name={name} color={color} /><span dir="auto">{name}</span><span class="soft">{section ? t('overview.in', { view: word('view', section) }) : word('role', role)}</span></li>
          ))}
        </ul>
      )}
    </Card>
  )
}

export const Overview = () => {
  const plan = usePlan()
  const { wedding } = plan
  return (
    <div class="overview">
      <Countdown plan={plan} />
      <Decisions plan={plan} />
      {wedding.guests.isOpen && plan.knowsReplies.value && <Replies plan={plan} />}
      {wedding.tasks.isOpen && <NextTasks plan={plan} />}
      {wedding.budget.isOpen && <Money plan={plan} />}
      {wedding.budget.isOpen && <NextPayments plan={plan} />}
      {wedding.timeline.isOpen && <Day plan={plan} />}
      <Here plan={plan} />
    </div>
  )
}
