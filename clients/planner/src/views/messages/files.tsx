// Files of a conversation: sent before a message names them, and fetched with the proof of who we are.
import type { Plan } from '../../state/plan.js'
import { t } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import { IconButton } from '../../ui/button.js'
import { Paperclip, X } from '../../ui/icons.js'
import { save } from '../../ui/save.js'
import { toastRefusal } from '../../ui/toast.js'
import type { Attached } from './attached.js'

const pathOf = (thread: string): string => `documents/${encodeURIComponent(`thread.${thread}`)}/attachments`

/** The files that the server has taken. */
export const upload = async ({ wedding }: Plan, thread: string, files: readonly File[]): Promise<Attached[]> => {
  const taken: Attached[] = []
  for (const file of files) await wedding.upload(pathOf(thread), file, { filename: file.name }).then((kept) => taken.push(kept), toastRefusal)
  return taken
}

export const Files = ({ thread, files }: { thread: string; files: readonly Attached[] }) => {
  const { wedding } = usePlan()
  const fetchFile = ({ id, name }: Attached): void => {
    wedding.download(`${pathOf(thread)}/${encodeURIComponent(id)}`).then((content) => save(name, content), toastRefusal)
  }
  if (files.length === 0) return null
  return (
    <ul class="files" aria-label={t('messages.files')}>
      {files.map((file) => <li key={file.id}><button type="button" class="chip" dir="auto" onClick={() => fetchFile(file)}><Paperclip size={12} aria-hidden="true" />{file.name}</button></li>)}
    </ul>
  )
}

/** The files of the next message. */
export const FileChoice = ({ thread, files, onChange }: { thread: string; files: readonly Attached[]; onChange: (change: (files: readonly Attached[]) => readonly Attached[]) => void }) => {
  const plan = usePlan()
  const take = async (input: HTMLInputElement): Promise<void> => {
    const chosen = [...input.files ?? []]
    input.value = ''
    const taken = await upload(plan, thread, chosen)
    onChange((before) => [...before, ...taken])
  }
  return (
    <>
      <label class="icon-button attach" title={t('messages.attach')}>
        <Paperclip size={18} aria-hidden="true" />
        <input type="file" multiple class="unseen" aria-label={t('messages.attach')} onChange={(event) => void take(event.currentTarget)} />
      </label>
      {files.length > 0 && (
        <ul class="files" aria-label={t('messages.attached')}>
          {files.map(({ id, name }) => (
            <li key={id} class="chip"><span dir="auto">{name}</span><IconButton label={t('messages.detach', { name })} onClick={() => onChange((before) => before.filter((each) => each.id !== id))}><X size={12} /></IconButton></li>
          ))}
        </ul>
      )}
    </>
  )
}
