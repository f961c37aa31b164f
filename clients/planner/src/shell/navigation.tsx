// The views, beside the page; on a phone the first ones in a bar below it, and the others behind "More".
import type { LucideIcon } from 'lucide-preact'
import { useState } from 'preact/hooks'
import { t, type Key } from '../i18n/index.js'
import { FIRST_NOTE, hrefOf, view, type View } from '../router.js'
import { openConflicts } from '../state/conflicts.js'
import { usePlan } from '../state/context.js'
import { inboxOf } from '../state/inbox.js'
import type { Plan } from '../state/plan.js'
import { threadsOf } from '../state/threads.js'
import { Dialog } from '../ui/dialog.js'
import { Armchair, CalendarClock, Home, Menu, MessageCircle, NotebookPen, Scale, Settings, SquareCheckBig, Store, UserCheck, Users, Utensils, Wallet } from '../ui/icons.js'
import { Rings } from './brand.js'

const ICONS: Readonly<Record<View, LucideIcon>> = {
  overview: Home, guests: Users, arrivals: UserCheck, seating: Armchair, diets: Utensils, timeline: CalendarClock, budget: Wallet, tasks: SquareCheckBig, vendors: Store,
  conflicts: Scale, messages: MessageCircle, notes: NotebookPen, settings: Settings
}
const GROUPS: readonly (readonly View[])[] = [['overview'], ['guests', 'arrivals', 'seating', 'diets', 'timeline', 'budget', 'tasks', 'vendors'], ['conflicts', 'messages', 'notes', 'settings']]
const IN_BAR: readonly View[] = ['overview', 'guests', 'seating', 'timeline', 'conflicts']
const ON_THE_DAY: readonly View[] = ['arrivals', 'seating', 'timeline', 'conflicts', 'overview']

/** On a phone: what a thumb reaches. On the day of the wedding that is who has come, not who replies. */
const inBar = (plan: Plan): readonly View[] => (plan.details.value.date === plan.today() ? ON_THE_DAY : IN_BAR).filter((name) => isOpen(plan, name))

/** Views of which this person may open no document are left out. */
const isOpen = ({ wedding }: Plan, name: View): boolean => {
  if (name === 'notes') return wedding.mayOpen(`notes.${FIRST_NOTE}`)
  if (name === 'messages') return (wedding.permissions['messages'] ?? []).length > 0
  const needs: Partial<Record<View, { readonly isOpen: boolean }>> = {
    guests: wedding.guests, arrivals: wedding.guests, seating: wedding.seating.tables, diets: wedding.care, timeline: wedding.timeline, budget: wedding.budget, tasks: wedding.tasks, vendors: wedding.vendors
  }
  return needs[name]?.isOpen ?? true
}

/** What waits in a view for this person. */
const waitingIn = (plan: Plan, name: View): number => {
  if (name === 'conflicts') return openConflicts(plan).value.length
  return name === 'messages' ? threadsOf(plan).unread.value + inboxOf(plan).unread.value : 0
}

const Entry = ({ name, onGo }: { name: View; onGo?: () => void }) => {
  const Icon = ICONS[name]
  const waiting = waitingIn(usePlan(), name)
  return (
    <a class="nav-entry" href={hrefOf({ view: name })} aria-current={view.value === name ? 'page' : undefined} onClick={onGo}>
      <Icon size={20} />
      <span>{t(`view.${name}` as Key)}</span>
      {waiting > 0 && <span class="count" aria-label={t(name === 'messages' ? 'messages.unreadCount' : 'conflicts.waiting', { n: waiting })}>{waiting}</span>}
    </a>
  )
}

const More = ({ bar, onClose }: { bar: readonly View[]; onClose: () => void }) => {
  const plan = usePlan()
  return (
    <Dialog title={t('nav.more')} onClose={onClose}>
      <nav class="more-list">
        {GROUPS.flat().filter((name) => !bar.includes(name) && isOpen(plan, name)).map((name) => <Entry key={name} name={name} onGo={onClose} />)}
      </nav>
    </Dialog>
  )
}

export const Navigation = () => {
  const plan = usePlan()
  const [isMore, showMore] = useState(false)
  const bar = inBar(plan)
  const waiting = waitingIn(plan, 'messages')
  return (
    <>
      <nav class="side-nav" aria-label={t('nav.views')}>
        <div class="brand"><Rings /><span dir="auto">{plan.details.value.title || t('app.name')}</span></div>
        {GROUPS.map((group) => <div key={group[0]} class="nav-group">{group.filter((name) => isOpen(plan, name)).map((name) => <Entry key={name} name={name} />)}</div>)}
      </nav>
      <nav class="bottom-nav" aria-label={t('nav.views')}>
        {bar.map((name) => <Entry key={name} name={name} />)}
        <button type="button" class="nav-entry" onClick={() => showMore(true)}>
          <Menu size={20} /><span>{t('nav.more')}</span>
          {waiting > 0 && <span class="count" aria-label={t('messages.unreadCount', { n: waiting })}>{waiting}</span>}
        </button>
      </nav>
      {isMore && <More bar={bar} onClose={() => showMore(false)} />}
    </>
  )
}
