// One conversation: its messages in the order in which the server got them, those that wait behind them, and a line to write.
import type { Thread, ThreadMessage, ThreadSummary } from 'crdt-server-client'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { ago } from '../../format/time.js'
import { t } from '../../i18n/index.js'
import { hrefOf } from '../../router.js'
import { usePlan } from '../../state/context.js'
import { rowsOf } from '../../state/follow.js'
import { threadsOf } from '../../state/threads.js'
import { Button, IconButton } from '../../ui/button.js'
import { ChevronLeft, Clock, Trash2 } from '../../ui/icons.js'
import { initials } from '../../ui/person.js'

const LONGEST = 4000

const Message = ({ message, thread, now }: { message: ThreadMessage; thread: Thread; now: number }) => {
  const plan = usePlan()
  const { from, body, at, isRedacted, sequence, kind } = message
  const isOwn = from === plan.wedding.person.id
  const name = plan.members.value.find(({ id }) => id === from)?.name ?? (isOwn ? t('conflicts.you') : t('messages.somebody'))
  return (
    <li class="message" data-own={isOwn} data-kind={kind} data-waiting={sequence === undefined}>
      {!isOwn && <span class="face plain" data-initials={initials(name)} aria-hidden="true" />}
      <div>
        <p class="from"><strong dir="auto">{name}</strong> <span class="soft">{sequence === undefined ? <><Clock size={12} aria-hidden="true" /> {t('messages.waiting')}</> : ago(at, now)}</span></p>
        <p class="body" dir="auto">{isRedacted ? <i class="soft">{t('messages.redacted')}</i> : body}</p>
      </div>
      {isOwn && !isRedacted && <IconButton label={t('messages.redact')} onClick={() => thread.redact(message.id)}><Trash2 size={14} /></IconButton>}
    </li>
  )
}

const Composer = ({ thread }: { thread: Thread }) => {
  const [body, setBody] = useState('')
  const send = (): void => {
    if (body.trim() === '') return
    thread.send(body.trim())
    setBody('')
  }
  const key = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    send()
  }
  return (
    <form class="composer" onSubmit={(event) => { event.preventDefault(); send() }}>
      <textarea rows={2} maxLength={LONGEST} value={body} dir="auto" aria-label={t('messages.write')} placeholder={t('messages.write')} onInput={(event) => setBody(event.currentTarget.value)} onKeyDown={key} />
      <Button kind="primary" type="submit" disabled={body.trim() === ''}>{t('messages.send')}</Button>
    </form>
  )
}

const Messages = ({ thread }: { thread: Thread }) => {
  const plan = usePlan()
  const messages = rowsOf(thread).value
  const list = useRef<HTMLDivElement>(null)
  const newest = messages.filter(({ sequence }) => sequence !== undefined).at(-1)?.id
  useLayoutEffect(() => { list.current!.scrollTop = list.current!.scrollHeight }, [messages.length])
  useEffect(() => {
    if (newest !== undefined) void thread.markRead().then(() => threadsOf(plan).load(), () => {}) // it is read again next time
  }, [newest])
  const now = Date.parse(plan.wedding.now())
  return (
    <>
      <div class="message-list" ref={list} tabIndex={0} role="log" aria-label={t('view.messages')}><ol>{messages.map((message) => <Message key={message.id} message={message} thread={thread} now={now} />)}</ol></div>
      {thread.mayWrite() && <Composer thread={thread} />}
    </>
  )
}

export const Conversation = ({ id, summary }: { id: string; summary: ThreadSummary | undefined }) => {
  const plan = usePlan()
  const [thread, setThread] = useState<Thread>()
  const [isRefused, refuse] = useState(false)
  useEffect(() => {
    const threads = threadsOf(plan)
    let isOver = false
    const leave = (): void => { if (isOver) threads.leave(id) }
    threads.open(id).then((found) => { if (!isOver) setThread(found) }, () => refuse(true)).finally(leave)
    return () => {
      isOver = true
      leave()
    }
  }, [id])
  return (
    <section class="conversation" aria-labelledby="conversation-title">
      <header class="card-head">
        <a class="icon-button back" href={hrefOf({ view: 'messages' })} aria-label={t('messages.all')}><ChevronLeft size={20} /></a>
        <h2 id="conversation-title" dir="auto">{summary?.title ?? t('view.messages')}</h2>
        <span class="soft grow">{summary && t('messages.people', { n: summary.participants.length })}</span>
      </header>
      {isRefused && <p class="problem" role="alert">{t('messages.closed')}</p>}
      {thread && <Messages thread={thread} />}
    </section>
  )
}
