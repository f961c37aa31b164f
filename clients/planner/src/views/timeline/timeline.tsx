// The timeline as a day: hours down, lanes beside each other, a line for now, and what moves when something is moved.
import type { JSX } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { clock, daysBetween, formatIn, timeOfDay } from '../../format/time.js'
import { t, word, type Key } from '../../i18n/index.js'
import { ITEM } from '../../kinds/index.js'
import { go, openRecord } from '../../router.js'
import { usePlan } from '../../state/context.js'
import type { Item, Plan } from '../../state/plan.js'
import { AddLine } from '../../ui/add_line.js'
import { Button } from '../../ui/button.js'
import { Segments } from '../../ui/field.js'
import { CalendarClock, Printer } from '../../ui/icons.js'
import { Empty, Page } from '../../ui/page.js'
import { RecordDrawer } from '../../ui/record_form.js'
import { Removed } from '../../ui/removed.js'
import { ItemView, PX_PER_MINUTE } from './item_view.js'
import { dayOfItem, endOf, lanesOf, type Day, type Lane, type LaneBy } from './lanes.js'
import { moving } from './moves.js'
import { ItemPeople } from './people.js'
import { SheetDialog } from './sheet.js'

const HOUR = 60
const DAYS: readonly (readonly [Day, Key])[] = [['before', 'timeline.before'], ['day', 'timeline.theDay'], ['after', 'timeline.after']]

const offset = (minutes: number): JSX.CSSProperties => ({ insetBlockStart: `${minutes * PX_PER_MINUTE}px` })

/** Of a lane in the grid: wider where more than two items stand beside each other. */
const widthOf = ({ placed }: Lane): string => {
  const share = Math.max(1, ...placed.map(({ columns }) => columns / 2))
  return `minmax(calc(var(--lane) * ${share}), ${share}fr)`
}

/** Minutes of the wedding day that it is now, where the wedding is; undefined on other days. */
const nowOn = (plan: Plan, from: number, to: number): number | undefined => {
  const { date, timeZone } = plan.details.value
  if (!date) return undefined
  const time = formatIn(timeZone, 'en-GB', { hour: '2-digit', minute: '2-digit' }).format(new Date(plan.wedding.now()))
  const [hours = 0, minutes = 0] = time.split(':').map(Number)
  const now = daysBetween(date, plan.today()) * 24 * HOUR + hours * HOUR + minutes
  return now >= from && now <= to ? now : undefined
}

const Hours = ({ from, to }: { from: number; to: number }) => (
  <div class="hours" aria-hidden="true">
    {Array.from({ length: (to - from) / HOUR + 1 }, (_, at) => <span key={at} style={offset(at * HOUR)}>{timeOfDay(from + at * HOUR)}</span>)}
  </div>
)

/** Where items of a lane would stand. */
const Ghosts = ({ lane, from }: { lane: Lane; from: number }) => (
  <>
    {moving.value?.ripple.shifts.filter(({ id }) => lane.placed.some(({ item }) => item.id === id)).map(({ id, start, duration }) => (
      <div key={id} class="ghost" style={{ ...offset(start - from), blockSize: `${Math.max(duration * PX_PER_MINUTE - 2, 18)}px` } as JSX.CSSProperties}>{clock(start)}</div>
    ))}
  </>
)

const LaneView = ({ lane, from, height }: { lane: Lane; from: number; height: number }) => (
  <section class="lane" data-single={lane.isSingle} aria-label={lane.name}>
    <h2 dir="auto">{lane.name}</h2>
    <div class="lane-body" style={{ blockSize: `${height}px` } as JSX.CSSProperties}>
      {lane.overlaps.map(([start, end]) => <div key={start} class="overlap" style={{ ...offset(start - from), blockSize: `${(end - start) * PX_PER_MINUTE}px` } as JSX.CSSProperties} />)}
      {lane.placed.map((placed) => <ItemView key={placed.item.id} placed={placed} from={from} />)}
      <Ghosts lane={lane} from={from} />
    </div>
  </section>
)

const Preview = ({ plan }: { plan: Plan }) => {
  const now = moving.value
  if (now === undefined) return null
  const { shifts, blocked } = now.ripple
  return (
    <div class="ripple" role="status">
      <strong>{clock(now.start)}</strong>
      <span>{now.item.title}</span>
      {shifts.length > 1 && <span class="chip busy">{t('timeline.ripple', { n: shifts.length - 1 })}</span>}
      {blocked.slice(0, 2).map((id) => <span key={id} class="chip bad">{t('timeline.blocked', { title: plan.itemById.value.get(id)?.title ?? '' })}</span>)}
    </div>
  )
}

const DayView = ({ plan, items, by }: { plan: Plan; items: readonly Item[]; by: LaneBy }) => {
  const element = useRef<HTMLDivElement>(null)
  const from = Math.floor(Math.min(...items.map(({ start = 0 }) => start)) / HOUR) * HOUR
  const to = Math.ceil(Math.max(...items.map(endOf)) / HOUR) * HOUR
  const lanes = useMemo(() => lanesOf(plan, items, by), [items, by, plan.places.value, plan.vendors.value, plan.guests.value])
  const now = nowOn(plan, from, to)
  const height = (to - from) * PX_PER_MINUTE
  const isToday = now !== undefined
  useEffect(() => {
    // On the day itself it begins with what is going on.
    if (isToday && openRecord.peek() === '') element.current?.querySelector('.now')?.scrollIntoView({ block: 'center' })
  }, [isToday])
  useEffect(() => {
    const open = openRecord.value
    if (open !== '') element.current?.querySelector(`[data-item="${CSS.escape(open)}"]`)?.scrollIntoView({ block: 'center', inline: 'center' })
  }, [openRecord.value])
  return (
    <div class="day" ref={element} tabIndex={0} role="group" aria-label={t('view.timeline')}>
      <div class="day-inner" style={{ '--hour': `${HOUR * PX_PER_MINUTE}px`, gridTemplateColumns: `var(--hours) ${lanes.map(widthOf).join(' ')}` } as JSX.CSSProperties}>
        <Hours from={from} to={to} />
        {lanes.map((lane) => <LaneView key={lane.id} lane={lane} from={from} height={height} />)}
        {now !== undefined && <div class="now" style={offset(now - from)}><span>{t('timeline.now')}</span></div>}
      </div>
    </div>
  )
}

const Controls = ({ day, onDay, by, onBy, days }: { day: Day; onDay: (day: Day) => void; by: LaneBy; onBy: (by: LaneBy) => void; days: readonly Day[] }) => (
  <div class="day-controls">
    {days.length > 1 && <Segments label={t('timeline.day')} value={day} choices={DAYS.filter(([name]) => days.includes(name)).map(([name, key]) => [name, t(key)])} onChange={(next) => onDay(next as Day)} />}
    <Segments label={t('timeline.lanes')} value={by} choices={(['place', 'vendor', 'person'] as const).map((each) => [each, word('lanes', each)])} onChange={(next) => onBy(next as LaneBy)} />
  </div>
)

export const Timeline = () => {
  const plan = usePlan()
  const items = plan.items.value
  const open = plan.itemById.value.get(openRecord.value)
  const [day, setDay] = useState<Day>(open ? dayOfItem(open) : 'day')
  const [by, setBy] = useState<LaneBy>('place')
  const [hasSheet, showSheet] = useState(false)
  const openDay = open && dayOfItem(open)
  useEffect(() => { if (openDay !== undefined) setDay(openDay) }, [openDay, open?.id])
  const shown = useMemo(() => items.filter((item) => dayOfItem(item) === day), [items, day])
  const days = DAYS.map(([name]) => name).filter((name) => name === 'day' || items.some((item) => dayOfItem(item) === name))
  const last = shown.filter((item) => item.rigidity !== 'fixed').at(-1) ?? shown.at(-1)
  const fresh = (): Partial<Item> => ({ start: last === undefined ? 720 : endOf(last) })
  const summary = shown.length === 0 ? undefined : t('timeline.summary', { n: shown.length, from: clock(shown[0]!.start), to: clock(Math.max(...shown.map(endOf))) })
  const actions = <><Removed kind={ITEM} />{plan.vendors.value.length > 0 && <Button onClick={() => showSheet(true)}><Printer size={16} />{t('timeline.sheet')}</Button>}</>
  return (
    <Page title={t('view.timeline')} isFixed summary={summary} actions={actions}>
      <Controls day={day} onDay={setDay} by={by} onBy={setBy} days={days} />
      {shown.length === 0 ? <Empty title={t('timeline.none')} icon={<CalendarClock size={40} />} /> : <DayView key={day} plan={plan} items={shown} by={by} />}
      <Preview plan={plan} />
      <AddLine kind={ITEM} label={t('timeline.add')} more={fresh} onAdded={(record) => go({ view: 'timeline', record })} />
      {open && <RecordDrawer key={open.id} kind={ITEM} row={open} onClose={() => go({ view: 'timeline' })}><ItemPeople item={open} /></RecordDrawer>}
      {hasSheet && <SheetDialog onClose={() => showSheet(false)} />}
    </Page>
  )
}
