// The inbox: what reached this person, the newest first; each leads to what it is about.
import { money } from '../../format/money.js'
import { ago, clock } from '../../format/time.js'
import { t, word } from '../../i18n/index.js'
import { hrefOf } from '../../router.js'
import { usePlan } from '../../state/context.js'
import { inboxOf, type InboxItem } from '../../state/inbox.js'
import type { Plan } from '../../state/plan.js'
import { Button, IconButton } from '../../ui/button.js'
import { Bell, Check, ChevronLeft } from '../../ui/icons.js'
import { Empty } from '../../ui/page.js'
import { placeOf } from './places.js'

/** A parameter as people read it: as a time, an amount or a text. */
const value = (plan: Plan, params: Readonly<Record<string, string>>, name: string): string => {
  const [minutes, minor] = [params[`${name}_minutes`], params[`${name}_minor`]]
  if (minutes !== undefined) return clock(Number(minutes))
  if (minor !== undefined) return money(Number(minor), params['currency'] ?? plan.currency.value, plan.locale.value)
  return params[name] ?? ''
}

const bodyOf = (plan: Plan, { params = {} }: InboxItem): string => {
  const [before, after] = [value(plan, params, 'before'), value(plan, params, 'after')]
  const changed = before || after ? `${before || '–'} → ${after || '–'}` : ''
  return params['text'] || changed || value(plan, params, 'amount') || params['reason'] || ''
}

const Item = ({ item, now }: { item: InboxItem; now: number }) => {
  const plan = usePlan()
  const inbox = inboxOf(plan)
  const { id, type, params = {}, at, read_at: readAt, priority, count } = item
  const sort = word('notice', type.replaceAll('.', '_'))
  const to = placeOf(item)
  const body = bodyOf(plan, item)
  const title = params['title'] || sort
  return (
    <li class="inbox-item" data-read={readAt !== null} data-priority={priority}>
      <div class="grow">
        {to === undefined ? <strong dir="auto">{title}</strong> : <a href={hrefOf(to)} dir="auto" onClick={() => void inbox.read(id)}>{title}</a>}
        {body !== '' && <p dir="auto">{body}</p>}
        <p class="soft" dir="auto">{[title === sort ? '' : sort, params['actor'], count > 1 ? t('inbox.times', { n: count }) : '', ago(at, now)].filter(Boolean).join(' · ')}</p>
      </div>
      {readAt === null && <IconButton label={t('inbox.read', { title })} onClick={() => void inbox.read(id)}><Check size={16} /></IconButton>}
    </li>
  )
}

export const Inbox = () => {
  const plan = usePlan()
  const inbox = inboxOf(plan)
  const items = inbox.items.value
  const now = Date.parse(plan.wedding.now())
  return (
    <section class="conversation" aria-labelledby="inbox-title">
      <header class="card-head">
        <a class="icon-button back" href={hrefOf({ view: 'messages' })} aria-label={t('messages.all')}><ChevronLeft size={20} /></a>
        <h2 id="inbox-title" class="grow">{t('inbox.title')}</h2>
        {inbox.unread.value > 0 && items[0] && <Button kind="quiet" onClick={() => void inbox.readUpTo(items[0]!.id)}>{t('inbox.readAll')}</Button>}
      </header>
      {items.length === 0
        ? <Empty title={t('inbox.none')} icon={<Bell size={40} />} />
        : (
          <div class="message-list" tabIndex={0}>
            <ul>{items.map((item) => <Item key={item.id} item={item} now={now} />)}</ul>
            {inbox.hasOlder.value && <Button kind="quiet" onClick={() => void inbox.older()}>{t('inbox.older')}</Button>}
          </div>
        )}
    </section>
  )
}
