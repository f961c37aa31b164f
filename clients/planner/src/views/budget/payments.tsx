// The payments of one cost: what was paid, and another one. A payment is never changed: one that is wrong is voided.
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { moneyText, parseMoney } from '../../format/money.js'
import { shortDate } from '../../format/time.js'
import { t, word } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import type { BudgetItem } from '../../state/plan.js'
import { Button } from '../../ui/button.js'
import { Field, Segments } from '../../ui/field.js'
import { toast } from '../../ui/toast.js'

const KINDS = ['deposit', 'balance', 'refund'] as const
type PaymentKind = (typeof KINDS)[number]

/** `isNext`: one was recorded here just before, and the focus was in that form. */
const NewPayment = ({ item, isNext }: { item: BudgetItem; isNext: { current: boolean } }) => {
  const plan = usePlan()
  const currency = item.currency || plan.currency.value
  const left = Math.max(plan.sumsOf([item]).agreed - plan.paidFor(item), 0)
  const [amount, setAmount] = useState(left > 0 ? moneyText(left, currency, plan.locale.value) : '')
  const amountInput = useRef<HTMLInputElement>(null)
  const [on, setOn] = useState(plan.today())
  const [kind, setKind] = useState<PaymentKind>('deposit')
  useLayoutEffect(() => {
    if (isNext.current) amountInput.current!.focus()
    isNext.current = false
  }, [])
  const minor = parseMoney(amount, currency)
  const submit = (event: Event): void => {
    event.preventDefault()
    if (minor === undefined || minor === 0) return
    const { budget } = plan.wedding
    isNext.current = true
    const id = budget.pay(item.id, minor, { on, kind })
    setAmount('')
    toast(t('payment.added', { amount: plan.money(minor) }), { action: { label: t('action.undo'), run: () => budget.void(id) } })
  }
  return (
    <form class="form" onSubmit={submit}>
      <div class="two narrow">
        <Field label={t('payment.amount')}>{(id) => <input id={id} ref={amountInput} inputMode="decimal" value={amount} onInput={(event) => setAmount(event.currentTarget.value)} />}</Field>
        <Field label={t('payment.on')}>{(id) => <input id={id} type="date" required value={on} onInput={(event) => setOn(event.currentTarget.value)} />}</Field>
      </div>
      <Segments label={t('payment.kind')} value={kind} choices={KINDS.map((each) => [each, word('payment', each)])} onChange={(next) => setKind(next as PaymentKind)} />
      <Button kind="primary" type="submit" disabled={minor === undefined || minor === 0}>{t('payment.add')}</Button>
    </form>
  )
}

export const Payments = ({ item }: { item: BudgetItem }) => {
  const plan = usePlan()
  const { budget } = plan.wedding
  const isNext = useRef(false)
  const voided = new Set(plan.voids.value.map(({ id }) => id))
  const payments = plan.payments.value.filter((payment) => payment.item === item.id)
  return (
    <section class="payments" aria-label={t('payment.title')}>
      <h3>{t('payment.title')}</h3>
      <ul class="plain-list">
        {payments.map(({ id, amount, on, kind, payer }) => (
          <li key={id} data-void={voided.has(id)}>
            <span class="soft">{shortDate(on)}</span>
            <span class="grow">{word('payment', kind)}{payer && <span class="soft" dir="auto"> {payer}</span>}</span>
            <span class="amount">{kind === 'refund' && '−'}{plan.money(amount)}</span>
            {budget.voids.mayWrite(id) && (voided.has(id)
              ? <Button kind="quiet" onClick={() => budget.unvoid(id)}>{t('action.restore')}</Button>
              : <Button kind="quiet" onClick={() => budget.void(id)}>{t('payment.void')}</Button>)}
          </li>
        ))}
      </ul>
      {budget.payments.mayWrite() && <NewPayment key={payments.length} item={item} isNext={isNext} />}
    </section>
  )
}
