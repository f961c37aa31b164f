// Search over the messages and notes that a person may read now. The server finds; nothing is searched here.
import { useState } from 'preact/hooks'
import { t } from '../../i18n/index.js'
import { hrefOf } from '../../router.js'
import { usePlan } from '../../state/context.js'
import { noteTitle } from '../../state/notes.js'
import { nameOfPerson } from '../../state/people.js'
import { Button } from '../../ui/button.js'
import { Search as Glass } from '../../ui/icons.js'
import { toastRefusal } from '../../ui/toast.js'
import { placeOf } from './places.js'

const LONGEST_QUERY = 200

interface Hit {
  readonly document: string
  readonly record: string
  readonly key: string
  readonly from?: string
  readonly excerpt: string
  /** Pairs of positions in the excerpt, in code points. */
  readonly highlights: readonly (readonly [number, number])[]
}

interface Found { readonly query: string; readonly hits: readonly Hit[]; readonly next: number | null }

const Marked = ({ hit: { excerpt, highlights } }: { hit: Hit }) => {
  const letters = [...excerpt]
  const text = (from: number, to?: number): string => letters.slice(from, to).join('')
  return (
    <p dir="auto">
      {highlights.map(([begin, end], nth) => <>{text(highlights[nth - 1]?.[1] ?? 0, begin)}<mark>{text(begin, end)}</mark></>)}
      {text(highlights.at(-1)?.[1] ?? 0)}
    </p>
  )
}

const One = ({ hit }: { hit: Hit }) => {
  const plan = usePlan()
  const to = placeOf(hit)
  const title = hit.from ? nameOfPerson(plan, hit.from) : to?.view === 'notes' ? noteTitle(to.record ?? '') : hit.document
  return <li>{to === undefined ? <strong>{title}</strong> : <a href={hrefOf(to)} dir="auto">{title}</a>}<Marked hit={hit} /></li>
}

export const Search = () => {
  const { wedding } = usePlan()
  const [typed, setTyped] = useState('')
  const [found, setFound] = useState<Found>()
  const find = (query: string, before?: Found): void => {
    const after = before?.next == null ? {} : { after: String(before.next) }
    wedding.call('GET', 'search', { query: { q: query, ...after } })
      .then(({ hits, next }) => setFound({ query, hits: [...before?.hits ?? [], ...hits], next }), toastRefusal)
  }
  const submit = (event: Event): void => {
    event.preventDefault()
    if (typed.trim() === '') setFound(undefined)
    else find(typed.trim())
  }
  return (
    <form class="message-search" role="search" onSubmit={submit}>
      <div class="add-line">
        <input type="search" value={typed} maxLength={LONGEST_QUERY} aria-label={t('search.label')} placeholder={t('search.go')} onInput={(event) => setTyped(event.currentTarget.value)} />
        <Button kind="quiet" type="submit" aria-label={t('search.go')}><Glass size={16} aria-hidden="true" /></Button>
      </div>
      {found && (
        <div role="status">
          {found.hits.length === 0 && <p class="hint">{t('search.none')}</p>}
          <ol class="hits" aria-label={t('search.found')}>{found.hits.map((hit) => <One key={`${hit.document} ${hit.record} ${hit.key}`} hit={hit} />)}</ol>
          {found.next !== null && <Button kind="quiet" onClick={() => find(found.query, found)}>{t('search.more')}</Button>}
        </div>
      )}
    </form>
  )
}
