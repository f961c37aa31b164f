// Moving an item, and with it those that follow: shown while it is dragged, written as one step when it is let go.
import { signal } from '@preact/signals'
import { clock } from '../../format/time.js'
import { t } from '../../i18n/index.js'
import type { Item, Plan } from '../../state/plan.js'
import { toast } from '../../ui/toast.js'
import { rippleOf, type Ripple } from './ripple.js'

export interface Moving { readonly item: Item; readonly start: number; readonly ripple: Ripple }

/** What would happen now. */
export const moving = signal<Moving | undefined>(undefined)

export const show = (plan: Plan, item: Item, start: number): void => {
  if (moving.peek()?.start === start && moving.peek()?.item.id === item.id) return
  moving.value = { item, start, ripple: rippleOf(plan.items.value, item, start) }
}

/** Moves an item and its followers, as one step. */
export const moveTo = (plan: Plan, item: Item, start: number): Ripple => {
  const ripple = rippleOf(plan.items.value, item, start)
  const { timeline } = plan.wedding
  plan.wedding.batch(() => {
    for (const { id, start: next, duration } of ripple.shifts) {
      timeline.move(id, next)
      if (timeline.get(id)?.duration !== duration) timeline.update(id, { duration })
    }
  })
  return ripple
}

/** As `moveTo`, and says what has happened. */
export const drop = (plan: Plan, item: Item, start: number): void => {
  if (start === item.start) return
  const { shifts } = moveTo(plan, item, start)
  const text = t('timeline.moved', { title: item.title ?? '', time: clock(start) })
  const more = shifts.length > 1 ? ` ${t('timeline.ripple', { n: shifts.length - 1 })}.` : ''
  toast(text + more, { action: { label: t('action.undo'), run: () => plan.wedding.undo() } })
}
