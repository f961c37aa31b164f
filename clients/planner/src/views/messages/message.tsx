// One message: who wrote it, what it answers, its files, what others think of it.
import type { Thread, ThreadMessage } from 'crdt-server-client'
import { useState } from 'preact/hooks'
import { ago } from '../../format/time.js'
import { t } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import { nameOfPerson } from '../../state/people.js'
import { IconButton } from '../../ui/button.js'
import { Confirm } from '../../ui/dialog.js'
import { Clock, Reply, SmilePlus, Trash2 } from '../../ui/icons.js'
import { initials } from '../../ui/person.js'
import { attachedTo } from './attached.js'
import { Files } from './files.js'

const EMOJI = ['👍', '❤️', '🎉', '😂', '✅']
const EXCERPT = 80

/** The beginning of a text, in one line. */
export const excerpt = (text: string): string => {
  const line = [...text.replace(/\s+/g, ' ').trim()]
  return line.length > EXCERPT ? line.slice(0, EXCERPT).join('') + '…' : line.join('')
}

const Quoted = ({ thread, id }: { thread: Thread; id: string }) => {
  const plan = usePlan()
  const answered = thread.get(id)
  if (answered === undefined) return null
  return <p class="quoted" dir="auto">{nameOfPerson(plan, answered.from)}: {answered.isRedacted ? t('messages.redacted') : excerpt(answered.body)}</p>
}

/** Those that somebody has given; the others are offered with a pointer over the message or the focus in it, and by a press. */
const Reactions = ({ message: { id, reactions }, thread }: { message: ThreadMessage; thread: Thread }) => {
  const plan = usePlan()
  const own = plan.wedding.person.id
  const mayReact = thread.mayWrite()
  const [isOpen, open] = useState(false)
  const given = Object.keys(reactions).filter((emoji) => !EMOJI.includes(emoji))
  return (
    <div class="reactions" role="group" aria-label={t('messages.react')} data-open={isOpen}>
      {[...EMOJI, ...given].map((emoji) => {
        const users = reactions[emoji] ?? []
        const isOwn = users.includes(own)
        return (
          <button key={emoji} type="button" data-given={users.length > 0} aria-pressed={isOwn} disabled={!mayReact} aria-label={t('messages.reaction', { emoji, n: users.length })}
            title={users.map((user) => nameOfPerson(plan, user)).join(', ')} onClick={() => (isOwn ? thread.unreact(id, emoji) : thread.react(id, emoji))}>
            {emoji}{users.length > 0 && ` ${users.length}`}
          </button>
        )
      })}
      {mayReact && <button type="button" class="react" aria-label={t('messages.react')} aria-expanded={isOpen} onClick={() => open(!isOpen)}><SmilePlus size={15} /></button>}
    </div>
  )
}

interface MessageProps {
  message: ThreadMessage
  thread: Thread
  now: number
  onReply: (id: string) => void
}

export const Message = ({ message, thread, now, onReply }: MessageProps) => {
  const plan = usePlan()
  const { id, from, body, at, isRedacted, sequence, kind, inReplyTo } = message
  const { person, permissions } = plan.wedding
  const isOwn = from === person.id
  const name = nameOfPerson(plan, from)
  const [isAsked, ask] = useState(false)
  const mayWrite = thread.mayWrite()
  const mayRedact = mayWrite && (isOwn || permissions['messages']?.includes('write'))
  return (
    <li class="message" data-own={isOwn} data-kind={kind} data-waiting={sequence === undefined}>
      {!isOwn && <span class="face plain" data-initials={initials(name)} aria-hidden="true" />}
      <div>
        <p class="from"><strong dir="auto">{name}</strong> <span class="soft">{sequence === undefined ? <><Clock size={12} aria-hidden="true" /> {t('messages.waiting')}</> : ago(at, now)}</span></p>
        {inReplyTo && <Quoted thread={thread} id={inReplyTo} />}
        <p class="body" dir="auto">{isRedacted ? <i class="soft">{t('messages.redacted')}</i> : body}</p>
        {!isRedacted && <Files thread={thread.id} files={attachedTo(message.attachments)} />}
        {!isRedacted && <Reactions message={message} thread={thread} />}
      </div>
      {mayWrite && !isRedacted && <IconButton label={t('messages.reply', { name })} onClick={() => onReply(id)}><Reply size={14} /></IconButton>}
      {mayRedact && !isRedacted && <IconButton label={t('messages.redact')} onClick={() => ask(true)}><Trash2 size={14} /></IconButton>}
      {isAsked && (
        <Confirm title={t('messages.redactTitle')} action={t('messages.redact')} onConfirm={() => thread.redact(id)} onClose={() => ask(false)}>
          <p class="quoted" dir="auto">{excerpt(body)}</p>
          <p>{t('messages.redactHint')}</p>
        </Confirm>
      )}
    </li>
  )
}
