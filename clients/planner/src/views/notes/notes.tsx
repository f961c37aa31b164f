// Free-form notes: a text that everybody writes at once, with the carets of the others in it.
import { useEffect, useRef, useState } from 'preact/hooks'
import { t } from '../../i18n/index.js'
import { FIRST_NOTE, go, hrefOf, openRecord } from '../../router.js'
import { usePlan } from '../../state/context.js'
import { noteTitle, notesOf, slugOf, type NoteList } from '../../state/notes.js'
import { Button } from '../../ui/button.js'
import { Plus } from '../../ui/icons.js'
import { Page } from '../../ui/page.js'
import { TextBinding } from './binding.js'
import { Carets, type Note } from './carets.js'

const LONGEST = 64

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
  const [typed, setTyped] = useState('')
  const slug = slugOf(typed)
  const isBad = typed.trim() !== '' && slug === ''
  const submit = (event: Event): void => {
    event.preventDefault()
    if (slug === '') return
    setTyped('')
    go({ view: 'notes', record: slug })
  }
  return (
    <form onSubmit={submit}>
      <div class="add-line">
        <Plus size={18} aria-hidden="true" />
        <input value={typed} maxLength={LONGEST} aria-label={t('notes.open')} placeholder={t('notes.open')} aria-invalid={isBad} dir="auto" onInput={(event) => setTyped(event.currentTarget.value)} />
        {slug !== '' && <Button kind="primary" type="submit">{t('notes.go')}</Button>}
      </div>
      {isBad && <p class="problem" role="alert">{t('notes.badName')}</p>}
    </form>
  )
}

/** All notes, with the one that is open also before it is in the list of the server. */
const List = ({ list, open }: { list: NoteList; open: string }) => {
  const slugs = [...new Set([FIRST_NOTE, open, ...list.names.value])]
  const rest = slugs.slice(1).sort((one, other) => noteTitle(one).localeCompare(noteTitle(other)))
  return (
    <nav class="pills note-list" aria-label={t('view.notes')}>
      {[FIRST_NOTE, ...rest].map((slug) => <a key={slug} class="pill" href={hrefOf({ view: 'notes', record: slug })} aria-current={slug === open ? 'page' : undefined} dir="auto">{noteTitle(slug)}</a>)}
    </nav>
  )
}

export const Notes = () => {
  const { wedding } = usePlan()
  const slug = openRecord.value || FIRST_NOTE
  const [note, setNote] = useState<Note>()
  const [isRefused, refuse] = useState(false)
  const [words, count] = useState(0)
  const list = notesOf(wedding)
  useEffect(() => { void list.load() }, [list, slug])
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
    <Page title={noteTitle(slug)} summary={note && t('notes.words', { n: words })}>
      <Another />
      <List list={list} open={slug} />
      {isRefused && <p class="problem" role="alert">{t('notes.refused')}</p>}
      {note && <Text key={slug} note={note} onCount={count} />}
    </Page>
  )
}
