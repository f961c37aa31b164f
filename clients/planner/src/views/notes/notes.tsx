// Free-form notes: a text that everybody writes at once, with the carets of the others in it.
import { useEffect, useRef, useState } from 'preact/hooks'
import { t } from '../../i18n/index.js'
import { FIRST_NOTE, go, isNameInUrl, openRecord } from '../../router.js'
import { usePlan } from '../../state/context.js'
import { Button } from '../../ui/button.js'
import { Page } from '../../ui/page.js'
import { TextBinding } from './binding.js'
import { Carets, type Note } from './carets.js'

const countOf = (text: string): number => text.trim().split(/\s+/).filter(Boolean).length

const Text = ({ note, onCount }: { note: Note; onCount: (words: number) => void }) => {
  const area = useRef<HTMLTextAreaElement>(null)
  const mirror = useRef<HTMLDivElement>(null)
  const mayWrite = note.mayWrite()
  useEffect(() => {
    const carets = new Carets(note, area.current!, mirror.current!)
    const binding = new TextBinding(note.doc.getText('text'), area.current!, (text) => {
      onCount(countOf(text))
      carets.redraw()
    })
    return () => {
      binding.destroy()
      carets.end()
    }
  }, [note])
  return (
    <div class="note-paper">
      <div class="mirror" ref={mirror} aria-hidden="true" />
      <textarea ref={area} spellcheck readOnly={!mayWrite} dir="auto" aria-label={t('notes.text')} placeholder={t('notes.empty')} />
    </div>
  )
}

const Another = () => {
  const [name, setName] = useState('')
  const isBad = name !== '' && !isNameInUrl(name)
  const submit = (event: Event): void => {
    event.preventDefault()
    if (!isNameInUrl(name)) return
    setName('')
    go({ view: 'notes', record: name })
  }
  return (
    <form class="another-note" onSubmit={submit}>
      <input value={name} aria-label={t('notes.open')} placeholder={t('notes.open')} aria-invalid={isBad} spellcheck={false} autocapitalize="none" onInput={(event) => setName(event.currentTarget.value)} />
      <Button type="submit" disabled={name === '' || isBad}>{t('notes.go')}</Button>
      {isBad && <p class="problem" role="alert">{t('notes.badName')}</p>}
    </form>
  )
}

export const Notes = () => {
  const { wedding } = usePlan()
  const slug = openRecord.value || FIRST_NOTE
  const [note, setNote] = useState<Note>()
  const [isRefused, refuse] = useState(false)
  const [words, count] = useState(0)
  useEffect(() => {
    let [isOver, opened]: [boolean, Note | undefined] = [false, undefined]
    setNote(undefined)
    refuse(false)
    wedding.note(slug).then((found) => {
      if (isOver) return found.close()
      opened = found
      setNote(found)
    }, () => { if (!isOver) refuse(true) })
    return () => {
      isOver = true
      opened?.close()
    }
  }, [wedding, slug])
  return (
    <Page title={slug} summary={note && t('notes.words', { n: words })} actions={<Another />}>
      {isRefused && <p class="problem" role="alert">{t('notes.refused')}</p>}
      {note && <Text key={slug} note={note} onCount={count} />}
    </Page>
  )
}
