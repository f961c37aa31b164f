// What it costs, by category: planned, agreed and paid against what is set aside; approvals to press.
import type { rows, Row } from 'crdt-server-client'
import { moneyText, parseMoney } from '../../format/money.js'
import { shortDate } from '../../format/time.js'
import { t, word } from '../../i18n/index.js'
import { CATEGORY, COST } from '../../kinds/index.js'
import { go, openRecord } from '../../router.js'
import { usePlan } from '../../state/context.js'
import type { BudgetItem, Plan } from '../../state/plan.js'
import { AddLine } from '../../ui/add_line.js'
import { Button } from '../../ui/button.js'
import { LayerBar, type Part } from '../../ui/charts.js'
import { Check, X } from '../../ui/icons.js'
import { Page } from '../../ui/page.js'
import { RecordDrawer } from '../../ui/record_form.js'
import { RecordList } from '../../ui/record_list.js'
import { RecordName } from '../../ui/record_name.js'
import { Removed } from '../../ui/removed.js'
import { TextField } from '../../ui/field.js'
import { PaymentCalendar } from './calendar.js'
import { Payments } from './payments.js'

const open = (record: string): void => go({ view: 'budget', record })

const layersOf = (plan: Plan, items: readonly BudgetItem[], limit: number): { layers: Part[]; planned: number; isOver: boolean } => {
  const { planned, agreed, paid } = plan.sumsOf(items)
  const isOver = limit > 0 && planned > limit
  const layers = [
    { name: 'planned', value: planned, tone: isOver ? 'over' : 'planned' }, { name: 'agreed', value: agreed, tone: 'agreed' }, { name: 'paid', value: paid, tone: 'paid' }
  ]
  return { layers, planned, isOver }
}

const Totals = ({ plan }: { plan: Plan }) => {
  const limit = plan.limits.value.limit ?? 0
  const { layers, isOver } = layersOf(plan, plan.costs.value, limit)
  const { planned, agreed, paid } = plan.totals.value
  const figure = (label: string, value: number, tone: string) => <div><dt><span class={`dot ${tone}`} aria-hidden="true" />{label}</dt><dd>{plan.money(value)}</dd></div>
  return (
    <section class="card totals" aria-label={t('budget.total')}>
      <LayerBar limit={limit} layers={layers} />
      <dl class="figures wide">
        {figure(t('budget.planned'), planned, isOver ? 'over' : 'planned')}
        {figure(t('budget.agreed'), agreed, 'agreed')}
        {figure(t('budget.paid'), paid, 'paid')}
        {limit > 0 && figure(isOver ? t('budget.overBy') : t('budget.free'), Math.abs(limit - planned), isOver ? 'over' : 'free')}
      </dl>
      <div class="two">
        <Limit plan={plan} name="limit" label={t('budget.limitLabel')} />
        <Limit plan={plan} name="mustApproveOver" label={t('budget.mustApproveOver')} />
      </div>
    </section>
  )
}

const Limit = ({ plan, name, label }: { plan: Plan; name: 'limit' | 'mustApproveOver'; label: string }) => {
  const { limits } = plan.wedding.budget
  const commit = (text: string): string | undefined => {
    const minor = text.trim() === '' ? null : parseMoney(text, plan.currency.value)
    if (minor === undefined) return t('form.unreadable')
    limits.update({ [name]: minor })
    return undefined
  }
  return <TextField label={label} inputMode="decimal" value={moneyText(plan.limits.value[name], plan.currency.value, plan.locale.value)} disabled={!limits.mayWrite(name)} onCommit={commit} />
}

const Approvals = ({ plan }: { plan: Plan }) => {
  const pending = plan.approvals.value.filter(({ state }) => (state ?? 'pending') === 'pending')
  if (pending.length === 0) return null
  const { budget } = plan.wedding
  return (
    <section class="card" aria-labelledby="approvals">
      <h2 id="approvals">{t('budget.approvals')} <span class="soft">{pending.length}</span></h2>
      <ul class="plain-list">
        {pending.map(({ id, item = '', to = 0, from }) => (
          <li key={id} class="approval">
            <span class="grow"><strong dir="auto">{budget.get(item)?.name ?? t('record.unnamed')}</strong> <span class="soft">{from === undefined ? plan.money(to) : `${plan.money(from)} → ${plan.money(to)}`}</span></span>
            {budget.approvals.mayWrite(id, 'approvedBy.x') && (
              <>
                <Button kind="primary" onClick={() => budget.approve(id)}><Check size={16} />{t('budget.approve')}</Button>
                <Button onClick={() => budget.reject(id)}><X size={16} />{t('budget.reject')}</Button>
              </>
            )}
          </li>
        ))}
      </ul>
    </section>
  )
}

const CategoryCard = ({ plan, category, items }: { plan: Plan; category: Row<rows.Category> | undefined; items: readonly BudgetItem[] }) => {
  const limit = category?.allocated ?? 0
  const { layers, planned, isOver } = layersOf(plan, items, limit)
  const amounts = (row: BudgetItem) => {
    const paid = plan.paidFor(row)
    return (
      <>
        <span class="soft grow">{row.due && t('budget.dueOn', { date: shortDate(row.due) })}</span>
        {paid > 0 && <span class="chip good">{t('budget.paidOf', { amount: plan.roundMoney(paid) })}</span>}
        <span class="amount">{plan.money(plan.sumsOf([row]).planned)}</span>
      </>
    )
  }
  return (
    <section class="card category" aria-label={category?.name ?? t('budget.noCategory')}>
      <header class="card-head">
        <h2>{category === undefined ? t('budget.noCategory') : <RecordName kind={CATEGORY} row={category} onOpen={() => open(category.id)} />}</h2>
        <p class={isOver ? 'late' : 'soft'}>{limit > 0 ? t('budget.ofLimit', { amount: plan.roundMoney(planned), limit: plan.roundMoney(limit) }) : plan.roundMoney(planned)}</p>
      </header>
      <LayerBar limit={limit} layers={layers} />
      <ul class="layer-legend">
        {layers.map(({ name, value, tone }) => <li key={name}><span class={`dot ${tone}`} aria-hidden="true" />{word('budget', name)} <strong class="amount">{plan.roundMoney(value)}</strong></li>)}
      </ul>
      <RecordList kind={COST} rows={items} onOpen={open} after={amounts} />
      <AddLine kind={COST} label={t('budget.addItem')} more={() => (category === undefined ? {} : { category: category.id })} />
    </section>
  )
}

const OpenDrawer = ({ plan }: { plan: Plan }) => {
  const id = openRecord.value
  const close = (): void => go({ view: 'budget' })
  const item = plan.costs.value.find((row) => row.id === id)
  const category = plan.categories.value.find((row) => row.id === id)
  if (item) return <RecordDrawer key={id} kind={COST} row={item} onClose={close}><Payments item={item} /></RecordDrawer>
  return category ? <RecordDrawer key={id} kind={CATEGORY} row={category} onClose={close} /> : null
}

export const Budget = () => {
  const plan = usePlan()
  const categories = plan.categories.value
  const known = new Set(categories.map(({ id }) => id))
  const loose = plan.costs.value.filter(({ category = '' }) => !known.has(category))
  const limit = plan.limits.value.limit
  return (
    <Page title={t('view.budget')} summary={limit === undefined ? undefined : t('budget.limit', { limit: plan.money(limit) })} actions={<><Removed kind={COST} /><Removed kind={CATEGORY} /></>}>
      <Totals plan={plan} />
      <Approvals plan={plan} />
      {plan.costs.value.length > 0 && <PaymentCalendar />}
      {categories.map((category) => <CategoryCard key={category.id} plan={plan} category={category} items={plan.costs.value.filter((item) => item.category === category.id)} />)}
      {loose.length > 0 && <CategoryCard plan={plan} category={undefined} items={loose} />}
      <AddLine kind={CATEGORY} label={t('budget.addCategory')} />
      <OpenDrawer plan={plan} />
    </Page>
  )
}
