// One conversation: its messages in the order in which the server got them, those that wait behind them, and a line to write.
import type { Thread, ThreadSummary } from 'crdt-server-client'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { t } from '../../i18n/index.js'
import { hrefOf } from '../../router.js'
import { usePlan } from '../../state/context.js'
import { rowsOf } from '../../state/follow.js'
import { threadsOf } from '../../state/threads.js'
import { ChevronLeft } from '../../ui/icons.js'
import { Composer } from './composer.js'
import { Details } from './details.js'
import { Message } from './message.js'
import { Present, useReading } from './present.js'

const Messages = ({ thread }: { thread: Thread }) => {
  const plan = usePlan()
  const messages = rowsOf(thread).value
  const list = useRef<HTMLDivElement>(null)
  const [replyTo, reply] = useState('')
  useReading(thread)
  const newest = messages.filter(({ sequence }) => sequence !== undefined).at(-1)?.id
  useLayoutEffect(() => { list.current!.scrollTop = list.current!.scrollHeight }, [messages.length])
  useEffect(() => {
    if (newest !== undefined) void thread.markRead().then(() => threadsOf(plan).load(), () => {}) // it is read again next time
  }, [newest])
  const [isSynced, setSynced] = useState(false)
  useEffect(() => { thread.whenSynced().then(() => setSynced(true), () => {}) }, [thread]) // it is not known yet without a connection
  const now = Date.parse(plan.wedding.now())
  return (
    <>
      <div class="message-list" ref={list} tabIndex={0} role="log" aria-label={t('view.messages')}>{isSynced && messages.length === 0 && <p class="soft nothing">{t('messages.first')}</p>}<ol>{messages.map((message) => <Message key={message.id} message={message} thread={thread} now={now} onReply={reply} />)}</ol></div>
      <Present thread={thread} />
      {thread.mayWrite() && <Composer thread={thread} replyTo={replyTo} onReply={reply} />}
    </>
  )
}

export const Conversation = ({ id, summary }: { id: string; summary: ThreadSummary | undefined }) => {
  const plan = usePlan()
  const [thread, setThread] = useState<Thread>()
  const [isRefused, refuse] = useState(false)
  const wasListed = useRef(false)
  if (summary !== undefined) wasListed.current = true
  const isOver = isRefused || (wasListed.current && summary === undefined) // they may have been taken out of it
  useEffect(() => {
    const threads = threadsOf(plan)
    let isLeft = false
    const leave = (): void => { if (isLeft) threads.leave(id) }
    threads.open(id).then((found) => { if (!isLeft) setThread(found) }, () => refuse(true)).finally(leave)
    return () => {
      isLeft = true
      leave()
    }
  }, [id])
  return (
    <section class="conversation" aria-labelledby="conversation-title">
      <header class="card-head">
        <a class="icon-button back" href={hrefOf({ view: 'messages' })} aria-label={t('messages.all')}><ChevronLeft size={20} /></a>
        <h2 id="conversation-title" class="grow" dir="auto">{summary?.title ?? t('view.messages')}</h2>
        {summary && <Details thread={summary} />}
      </header>
      {isOver && <p class="problem" role="alert">{t('messages.closed')}</p>}
      {thread && !isOver && <Messages thread={thread} />}
    </section>
  )
}
