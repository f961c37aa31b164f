// What the server has taken back, and copies that it refuses for good: said once, in words, with what can be done.
import type { Rejected } from 'crdt-server-client'
import { useEffect } from 'preact/hooks'
import { language, t, word, wordsOf } from '../i18n/index.js'
import { rejected } from '../session/open.js'
import { usePlan } from '../state/context.js'
import { valueOf } from '../state/follow.js'
import { Button } from '../ui/button.js'
import { Download } from '../ui/icons.js'
import { save } from '../ui/save.js'
import { toast } from '../ui/toast.js'
import { nameOfDocument } from './document_name.js'

const LONGEST_NAME = 60

/** The server says it in English; where another language is chosen, the word for its rule, if there is one. */
const reasonOf = ({ reason, rule }: Rejected): string =>
  reason === '' || (language.value !== 'en' && wordsOf('rule').includes(rule)) ? word('rule', rule) : reason

export const Notices = () => {
  const plan = usePlan()
  const { wedding } = plan
  const aside = valueOf(wedding.setAside).value
  const notice = rejected.value
  useEffect(() => {
    if (notice === undefined) return
    rejected.value = undefined
    const what = notice.field === undefined ? '' : word('field', notice.field.split('.')[0]!).slice(0, LONGEST_NAME)
    toast(t(what === '' ? 'notice.rejected' : 'notice.rejectedField', { reason: reasonOf(notice), field: what }), { kind: 'bad' })
  }, [notice])
  if (aside.length === 0) return null
  return (
    <div class="aside-copies" role="alert">
      {aside.map((copy) => (
        <p key={copy.id}>
          {t('notice.setAside', { document: nameOfDocument(plan, copy.document), n: copy.unsaved })}
          <Button onClick={() => save(`${copy.document}.json`, wedding.setAside.download(copy.id))}><Download size={16} />{t('action.download')}</Button>
          <Button kind="quiet" onClick={() => void wedding.setAside.discard(copy.id)}>{t('action.discard')}</Button>
        </p>
      ))}
    </div>
  )
}
