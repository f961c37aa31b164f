// Conflicts as decisions: what happened, who wrote what when, one recommended answer, the other answers folded; and of
// those that are settled who won, with the way back.
import type { Conflict, ConflictOption, Place } from 'crdt-server-client'
import { useEffect, useRef, useState } from 'preact/hooks'
import { ago } from '../../format/time.js'
import { t, type Key } from '../../i18n/index.js'
import { hrefOf, openRecord, type View } from '../../router.js'
import { openConflicts, settledConflicts } from '../../state/conflicts.js'
import { usePlan } from '../../state/context.js'
import { nameOfPerson } from '../../state/people.js'
import type { Plan } from '../../state/plan.js'
import { Button } from '../../ui/button.js'
import { Check, ChevronDown, Scale, Undo2 } from '../../ui/icons.js'
import { Empty, Page } from '../../ui/page.js'
import { toast } from '../../ui/toast.js'
import { Parties, winnersOf } from './parties.js'

const MOST_SETTLED = 30
const VIEW_OF: Readonly<Record<string, View>> = {
  guests: 'guests', care: 'guests', seating: 'seating', timeline: 'timeline', budget: 'budget', 'wedding.vendors': 'vendors', 'wedding.tasks': 'tasks', wedding: 'settings'
}

const viewOf = (collection: string): View => VIEW_OF[collection] ?? VIEW_OF[collection.split('.')[0]!] ?? 'overview'

const About = ({ places }: { places: readonly Place[] }) => {
  const named = places.filter(({ label }, at) => label !== '' && places.findIndex((other) => other.label === label) === at)
  if (named.length === 0) return null
  return (
    <p class="about">
      {named.map(({ collection, record, label }) => <a key={collection + record} class="chip" href={hrefOf({ view: viewOf(collection), record })} dir="auto">{label}</a>)}
    </p>
  )
}

/** The first answer changes the least that mends it: the server lists it first. */
const Answers = ({ conflict, onChoose }: { conflict: Conflict; onChoose: (option: ConflictOption) => void }) => {
  const [isOpen, open] = useState(false)
  const [first, ...others] = conflict.options
  if (first === undefined) return <p class="soft">{t('conflicts.noAnswer')}</p>
  const isChosen = conflict.chosen !== undefined
  return (
    <div class="answers">
      <div class="recommended">
        <span class="chip good">{t('conflicts.recommended')}</span>
        <span dir="auto">{first.text}</span>
        <Button kind="primary" disabled={isChosen} onClick={() => onChoose(first)}><Check size={16} />{t('conflicts.choose')}</Button>
      </div>
      {others.length > 0 && (
        <>
          <button type="button" class="fold" aria-expanded={isOpen} onClick={() => open(!isOpen)}><ChevronDown size={16} aria-hidden="true" />{t('conflicts.others', { n: others.length })}</button>
          {isOpen && <ul class="others">{others.map((option) => <li key={option.id}><span dir="auto">{option.text}</span><Button disabled={isChosen} onClick={() => onChoose(option)}>{t('conflicts.choose')}</Button></li>)}</ul>}
        </>
      )}
    </div>
  )
}

const Card = ({ conflict, isShown }: { conflict: Conflict; isShown: boolean }) => {
  const { wedding } = usePlan()
  const element = useRef<HTMLElement>(null)
  const now = Date.parse(wedding.now())
  useEffect(() => {
    if (!isShown) return
    element.current?.scrollIntoView({ block: 'center' })
    element.current?.focus({ preventScroll: true })
  }, [isShown])
  const choose = ({ id, text }: ConflictOption): void => {
    wedding.conflicts.choose(conflict.id, id)
    toast(t('conflicts.chosen', { answer: text }))
  }
  return (
    <article class="card conflict" data-severity={conflict.severity} ref={element} tabIndex={-1} aria-label={conflict.summary}>
      <header>
        <span class={`chip severity-${conflict.severity}`}>{t(`severity.${conflict.severity}` as Key)}</span>
        <span class="soft">{ago(conflict.at, now)}</span>
      </header>
      <h2 dir="auto">{conflict.summary}</h2>
      <About places={conflict.about} />
      <Parties conflict={conflict} now={now} />
      <Answers conflict={conflict} onChoose={choose} />
    </article>
  )
}

/** Why there is no way back from what a rule has decided; '' where there is one, or a person has decided. */
const whyNoUndo = ({ state, canUndo, options }: Conflict): string => {
  if (state !== 'auto' || canUndo) return ''
  return t(options.length === 0 ? 'conflicts.undoNot' : 'conflicts.undoLate')
}

/** Who or what has settled a conflict. */
const settledBy = (plan: Plan, { decidedBy, isMoot }: Conflict): string => {
  if (isMoot) return t('conflicts.moot')
  if (decidedBy === plan.wedding.person.id) return t('conflicts.decidedByYou')
  return decidedBy ? t('conflicts.decidedBy', { name: nameOfPerson(plan, decidedBy) }) : t('conflicts.decidedByRule')
}

/** Who decided, when, and whose value stands. */
const Outcome = ({ conflict, now }: { conflict: Conflict; now: number }) => {
  const plan = usePlan()
  const chosen = conflict.options.find(({ id }) => id === conflict.chosen)
  const winners = winnersOf(conflict).map((user) => nameOfPerson(plan, user)).join(', ')
  const said = [
    settledBy(plan, conflict),
    conflict.decidedAt === undefined ? '' : ago(conflict.decidedAt, now),
    winners === '' ? '' : t('conflicts.won', { name: winners }),
    chosen?.text ?? '',
    whyNoUndo(conflict)
  ]
  return <p class="soft" dir="auto">{said.filter(Boolean).join(' · ')}</p>
}

const Settled = ({ conflict, now }: { conflict: Conflict; now: number }) => {
  const { wedding } = usePlan()
  const [isOpen, open] = useState(false)
  const { canUndo, undo } = conflict
  const choose = ({ id, text }: ConflictOption): void => {
    wedding.conflicts.choose(conflict.id, id)
    toast(t('conflicts.chosen', { answer: text }))
  }
  return (
    <li class="settled">
      <Check size={16} aria-hidden="true" />
      <div>
        <p dir="auto">{conflict.summary}</p>
        <Outcome conflict={conflict} now={now} />
        <button type="button" class="fold" aria-expanded={isOpen} onClick={() => open(!isOpen)}><ChevronDown size={16} aria-hidden="true" />{t(canUndo ? 'conflicts.otherwise' : 'conflicts.details')}</button>
        {isOpen && <Parties conflict={conflict} now={now} />}
        {isOpen && canUndo && (
          <ul class="others">
            {conflict.options.map((option) => (
              <li key={option.id}><span dir="auto">{option.text}</span><Button onClick={() => choose(option)}>{t('conflicts.choose')}</Button></li>
            ))}
          </ul>
        )}
      </div>
      {undo && <Button title={undo.text} disabled={conflict.chosen !== undefined} onClick={() => choose(undo)}><Undo2 size={16} />{t('action.undo')}</Button>}
    </li>
  )
}

export const Conflicts = () => {
  const plan = usePlan()
  const open = openConflicts(plan).value
  const settled = settledConflicts(plan).value
  const now = Date.parse(plan.wedding.now())
  return (
    <Page title={t('view.conflicts')} summary={open.length === 0 ? undefined : t('conflicts.summary', { n: open.length })}>
      {open.length === 0 && <Empty title={t('conflicts.none')} icon={<Scale size={40} />}><p>{t('conflicts.noneHint')}</p></Empty>}
      <div class="conflicts">{open.map((conflict) => <Card key={conflict.id} conflict={conflict} isShown={openRecord.value === conflict.id} />)}</div>
      {settled.length > 0 && (
        <section class="card" aria-labelledby="settled-title">
          <h2 id="settled-title">{t('conflicts.settled')} <span class="soft">{settled.length}</span></h2>
          <ul class="plain-list">{settled.slice(0, MOST_SETTLED).map((conflict) => <Settled key={conflict.id} conflict={conflict} now={now} />)}</ul>
        </section>
      )}
    </Page>
  )
}
