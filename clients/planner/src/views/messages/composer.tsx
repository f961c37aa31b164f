// The line in which a message is written: what it answers, and its files.
import type { Thread } from 'crdt-server-client'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { t } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import { nameOfPerson } from '../../state/people.js'
import { Button } from '../../ui/button.js'
import type { Attached } from './attached.js'
import { FileChoice } from './files.js'
import { excerpt } from './message.js'
import { useTyping } from './present.js'

const LONGEST = 4000

export const Composer = ({ thread, replyTo, onReply }: { thread: Thread; replyTo: string; onReply: (id: string) => void }) => {
  const plan = usePlan()
  const [body, setBody] = useState('')
  const [files, setFiles] = useState<readonly Attached[]>([])
  const setTyping = useTyping()
  const input = useRef<HTMLTextAreaElement>(null)
  const answered = thread.get(replyTo)
  useLayoutEffect(() => { if (replyTo !== '') input.current!.focus() }, [replyTo])
  // A message has a text: that of files alone is their names.
  const text = body.trim() || files.map(({ name }) => name).join(', ').slice(0, LONGEST)
  const send = (): void => {
    if (text === '') return
    thread.send(text, { ...(replyTo === '' ? {} : { inReplyTo: replyTo }), ...(files.length === 0 ? {} : { attachments: files as never }) })
    setBody('')
    setFiles([])
    setTyping(false)
    onReply('')
  }
  const key = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    send()
  }
  const type = (next: string): void => {
    setBody(next)
    setTyping(next !== '')
  }
  return (
    <form class="composer" onSubmit={(event) => { event.preventDefault(); send() }}>
      {answered && (
        <div class="answering">
          <p class="quoted" dir="auto">{t('messages.replyTo', { name: nameOfPerson(plan, answered.from), text: excerpt(answered.body) })}</p>
          <Button kind="quiet" onClick={() => onReply('')}>{t('messages.noReply')}</Button>
        </div>
      )}
      <textarea ref={input} rows={2} maxLength={LONGEST} value={body} dir="auto" aria-label={t('messages.write')} placeholder={t('messages.write')} onInput={(event) => type(event.currentTarget.value)} onKeyDown={key} />
      <FileChoice thread={thread.id} files={files} onChange={setFiles} />
      <Button kind="primary" type="submit" disabled={text === ''}>{t('messages.send')}</Button>
    </form>
  )
}
