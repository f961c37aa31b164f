// Conversations: the list beside the one that is open; on a phone one of the two.
import type { NewThread } from 'crdt-server-client'
import { useEffect, useState } from 'preact/hooks'
import { t, word } from '../../i18n/index.js'
import { go, hrefOf, openRecord } from '../../router.js'
import { usePlan } from '../../state/context.js'
import { inboxOf } from '../../state/inbox.js'
import { threadsOf, unreadIn } from '../../state/threads.js'
import { Button } from '../../ui/button.js'
import { MessageCircle, Plus } from '../../ui/icons.js'
import { Empty, Page } from '../../ui/page.js'
import { toastRefusal } from '../../ui/toast.js'
import { Conversation } from './conversation.js'
import { Inbox } from './inbox.js'
import { Search } from './search.js'

/** No id of a conversation begins like this. */
const INBOX = '~inbox'
const LONGEST_TITLE = 200
const TYPES = ['general', 'vendor', 'planning', 'emergency', 'family'] as const

const Begin = () => {
  const plan = usePlan()
  const [title, setTitle] = useState('')
  const [type, choose] = useState<NonNullable<NewThread['type']>>('general')
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault()
    if (title.trim() === '') return
    try {
      const id = await plan.wedding.threads.create({ title: title.trim(), type })
      setTitle('')
      await threadsOf(plan).load()
      go({ view: 'messages', record: id })
    } catch (error) {
      toastRefusal(error)
    }
  }
  return (
    <form class="add-line" onSubmit={(event) => void submit(event)}>
      <Plus size={18} aria-hidden="true" />
      <input value={title} maxLength={LONGEST_TITLE} aria-label={t('messages.new')} placeholder={t('messages.new')} dir="auto" onInput={(event) => setTitle(event.currentTarget.value)} />
      {title.trim() !== '' && (
        <>
          <select aria-label={t('messages.type')} value={type} onChange={(event) => choose(event.currentTarget.value as typeof type)}>
            {TYPES.map((each) => <option key={each} value={each}>{word('thread', each)}</option>)}
          </select>
          <Button kind="primary" type="submit">{t('messages.start')}</Button>
        </>
      )}
    </form>
  )
}

export const Messages = () => {
  const plan = usePlan()
  const list = threadsOf(plan)
  const threads = list.threads.value
  const id = openRecord.value
  const unread = inboxOf(plan).unread.value
  useEffect(() => { void list.load() }, [list])
  return (
    <Page title={t('view.messages')} isFixed>
      <div class="messages" data-open={id !== ''}>
        <div class="thread-list">
          <Begin />
          <Search />
          <ul>
            <li>
              <a href={hrefOf({ view: 'messages', record: INBOX })} aria-current={id === INBOX ? 'true' : undefined}>
                <strong>{t('inbox.title')}</strong>
                {unread > 0 && <span class="count"><span class="unseen">{t('messages.unread')} </span>{unread}</span>}
              </a>
            </li>
            {threads.map((thread) => (
              <li key={thread.id}>
                <a href={hrefOf({ view: 'messages', record: thread.id })} aria-current={thread.id === id ? 'true' : undefined}>
                  <strong dir="auto">{thread.title}</strong>
                  {unreadIn(thread) > 0 && <span class="count"><span class="unseen">{t('messages.unread')} </span>{unreadIn(thread)}</span>}
                  <span class="soft">{[thread.type === 'general' ? '' : word('thread', thread.type), thread.status === 'open' ? '' : t('messages.ended'), t('messages.people', { n: thread.participants.length })].filter(Boolean).join(' · ')}</span>
                </a>
              </li>
            ))}
          </ul>
        </div>
        {id === INBOX ? <Inbox /> : id === ''
          ? <div class="conversation none"><Empty title={t('messages.none')} icon={<MessageCircle size={40} />} /></div>
          : <Conversation key={id} id={id} summary={threads.find((thread) => thread.id === id)} />}
      </div>
    </Page>
  )
}
