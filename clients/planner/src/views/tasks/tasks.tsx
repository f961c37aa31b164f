// What is to be done, by when it is due.
import type { rows, Row } from 'crdt-server-client'
import { plusDays, shortDate } from '../../format/time.js'
import { t, type Key } from '../../i18n/index.js'
import { change } from '../../kinds/actions.js'
import { TASK } from '../../kinds/index.js'
import { mayAdd } from '../../kinds/kind.js'
import { go, openRecord } from '../../router.js'
import { usePlan } from '../../state/context.js'
import { AddLine } from '../../ui/add_line.js'
import { SquareCheckBig } from '../../ui/icons.js'
import { Empty, Page } from '../../ui/page.js'
import { RecordDrawer } from '../../ui/record_form.js'
import { RecordList } from '../../ui/record_list.js'
import { Removed } from '../../ui/removed.js'

type Task = Row<rows.Task>
const SOON_DAYS = 14
const GROUPS = ['late', 'soon', 'later', 'someday', 'done'] as const

const groupOf = ({ due, done }: Task, today: string): (typeof GROUPS)[number] => {
  if (done !== undefined) return 'done'
  if (due === undefined) return 'someday'
  return due < today ? 'late' : due <= plusDays(today, SOON_DAYS) ? 'soon' : 'later'
}

export const Tasks = () => {
  const plan = usePlan()
  const today = plan.today()
  const tasks = [...plan.tasks.value].sort((one, other) => (one.due ?? '9').localeCompare(other.due ?? '9'))
  const open = tasks.find(({ id }) => id === openRecord.value)
  const turn = (row: Task): void => {
    change(plan, TASK, row.id, { done: row.done === undefined ? { at: plan.wedding.now(), by: plan.wedding.person.id } : null })
  }
  const check = (row: Task) => (
    <input type="checkbox" checked={row.done !== undefined} aria-label={t('task.finish', { name: row.title ?? '' })} disabled={!plan.wedding.tasks.mayWrite(row.id, 'done')} onChange={() => turn(row)} />
  )
  const who = (row: Task): string => plan.members.value.find(({ id }) => id === row.assignee)?.name ?? ''
  const done = tasks.filter((task) => task.done !== undefined).length
  return (
    <Page title={t('view.tasks')} summary={t('tasks.summary', { n: tasks.length, done })} actions={<Removed kind={TASK} />}>
      <AddLine kind={TASK} label={t('tasks.add')} />
      {tasks.length === 0 && <Empty title={t('tasks.none')} icon={<SquareCheckBig size={40} />}>{mayAdd(plan, TASK) && <p>{t('tasks.noneHint')}</p>}</Empty>}
      {GROUPS.map((group) => {
        const inGroup = tasks.filter((task) => groupOf(task, today) === group)
        return inGroup.length > 0 && (
          <section key={group} class="card" aria-labelledby={`tasks-${group}`}>
            <h2 id={`tasks-${group}`}>{t(`tasks.${group}` as Key)} <span class="soft">{inGroup.length}</span></h2>
            <RecordList kind={TASK} rows={inGroup} onOpen={(record) => go({ view: 'tasks', record })} before={check}
              after={(row) => <><span class="soft grow">{who(row)}</span>{row.due && <span class={group === 'late' ? 'late' : 'soft'}>{shortDate(row.due)}</span>}</>} />
          </section>
        )
      })}
      {open && <RecordDrawer key={open.id} kind={TASK} row={open} onClose={() => go({ view: 'tasks' })} />}
    </Page>
  )
}
