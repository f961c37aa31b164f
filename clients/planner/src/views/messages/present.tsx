// Who else has a conversation open, and who is writing in it: by presence, which nothing keeps.
import type { Thread } from 'crdt-server-client'
import { useEffect } from 'preact/hooks'
import { t } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import { othersHere } from '../../state/people.js'

const TYPING_MS = 4000

/** Says to others that this person reads a conversation, for as long as it is shown. */
export const useReading = (thread: Thread): void => {
  const { presence } = usePlan().wedding
  useEffect(() => {
    presence.set({ at: { collection: thread.name } })
    return () => presence.set({ at: null, typing: null })
  }, [thread])
}

let typing: ReturnType<typeof setTimeout> | undefined

/** Says to others that this person writes; `isTyping` false: not any more. It ends by itself when nothing is typed. */
export const useTyping = (): (isTyping: boolean) => void => {
  const { presence } = usePlan().wedding
  const set = (isTyping: boolean): void => {
    if (isTyping !== (typing !== undefined)) presence.set({ typing: isTyping || null })
    clearTimeout(typing)
    typing = isTyping ? setTimeout(() => set(false), TYPING_MS) : undefined
  }
  useEffect(() => () => set(false), [presence])
  return set
}

export const Present = ({ thread }: { thread: Thread }) => {
  const here = othersHere(usePlan()).value.filter(({ at }) => at?.collection === thread.name)
  const names = (people: typeof here): string[] => [...new Set(people.map(({ name }) => name))]
  const [typists, readers] = [names(here.filter((each) => each.typing)), names(here)]
  const said = typists.length > 0 ? t('messages.typing', { names: typists.join(', '), n: typists.length })
    : readers.length > 0 ? t('messages.reading', { names: readers.join(', '), n: readers.length }) : ''
  return <p class="present hint" role="status" dir="auto">{said}</p>
}
