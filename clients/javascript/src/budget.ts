// What costs money: payments, which are never changed but voided, and votes on large amounts.
import { Records, Values } from './collection.js'
import { UnknownRecord } from './errors.js'
import type { Journal } from './journal.js'
import { byUnit } from './order.js'
import type { Part } from './part.js'
import type { Approval, BudgetItem, BudgetMeta, Category, Contribution, Payment, Retraction } from './schema.js'
import { SingleRecord } from './single.js'
import type { Budget, Id, ValueRow } from './types.js'

const byDay = (one: ValueRow<Payment>, other: ValueRow<Payment>): number => byUnit(one.on, other.on) || byUnit(one.id, other.id)

export class BudgetItems extends Records<BudgetItem> implements Budget {
  readonly categories: Records<Category>
  readonly payments: Values<Payment>
  readonly voids: Values<Retraction>
  readonly contributions: Values<Contribution>
  readonly approvals: Records<Approval>
  readonly limits: SingleRecord<BudgetMeta>

  constructor (part: Part, journal: Journal) {
    super(part, 'items', journal)
    this.categories = new Records(part, 'categories', journal)
    this.payments = new Values(part, 'payments', journal, byDay)
    this.voids = new Values(part, 'voids', journal)
    this.contributions = new Values(part, 'contributions', journal)
    this.approvals = new Records(part, 'approvals', journal)
    this.limits = new SingleRecord(part, 'meta', journal)
  }

  pay (item: Id, amount: number, more: Partial<Omit<Payment, 'item' | 'amount'>> = {}): Id {
    if (this.get(item) === undefined) throw new UnknownRecord(this.name, item)
    return this.payments.add({ kind: 'deposit', on: this.journal.now().slice(0, 10), ...more, item, amount })
  }

  void (payment: Id, reason?: string): void {
    if (this.payments.get(payment) === undefined) throw new UnknownRecord(this.payments.name, payment)
    this.voids.set(payment, { ...this.journal.stamp(), ...(reason === undefined ? {} : { reason }) })
  }

  unvoid (payment: Id): void {
    this.voids.remove(payment)
  }

  approve (approval: Id): void {
    this.#vote(approval, 'approvedBy')
  }

  reject (approval: Id): void {
    this.#vote(approval, 'rejectedBy')
  }

  #vote (approval: Id, vote: 'approvedBy' | 'rejectedBy'): void {
    const { at, by } = this.journal.stamp()
    this.approvals.update(approval, { [vote]: { [by]: at } })
  }
}
