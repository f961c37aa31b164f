// The day of one vendor, to print or to send.
import { useState } from 'preact/hooks'
import { clock, duration, longDate } from '../../format/time.js'
import { t } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import type { Plan } from '../../state/plan.js'
import { Button } from '../../ui/button.js'
import { Dialog } from '../../ui/dialog.js'
import { SelectField } from '../../ui/field.js'
import { MessageCircle, Printer } from '../../ui/icons.js'
import { endOf } from './lanes.js'

const itemsOf = (plan: Plan, vendor: string) => plan.items.value.filter(({ vendors, status }) => vendors?.[vendor] && status !== 'skipped')

/** As text for a mail. */
const textOf = (plan: Plan, vendor: string): string => itemsOf(plan, vendor)
  .map((item) => [clock(item.start), '–', clock(endOf(item)), item.title, plan.placeById.value.get(item.place ?? '')?.name].filter(Boolean).join(' '))
  .join('\n')

export const SheetDialog = ({ onClose }: { onClose: () => void }) => {
  const plan = usePlan()
  const vendors = plan.vendors.value.filter(({ id }) => itemsOf(plan, id).length > 0)
  const [vendor, choose] = useState(vendors[0]?.id ?? '')
  const found = plan.vendorById.value.get(vendor)
  const { title = '', date = '' } = plan.details.value
  const print = (): void => {
    document.body.dataset['print'] = 'sheet'
    window.print()
  }
  const mail = `mailto:${encodeURIComponent(found?.contact?.email ?? '')}?${new URLSearchParams({ subject: title, body: textOf(plan, vendor) }).toString().replaceAll('+', '%20')}`
  const footer = (
    <>
      <a class="button plain" href={mail}><MessageCircle size={16} aria-hidden="true" />{t('guest.email')}</a>
      <Button kind="primary" onClick={print}><Printer size={16} />{t('action.print')}</Button>
    </>
  )
  if (vendors.length === 0) return <Dialog title={t('timeline.sheet')} onClose={onClose}><p>{t('timeline.noSheet')}</p></Dialog>
  return (
    <Dialog title={t('timeline.sheet')} onClose={onClose} footer={footer}>
      <div class="no-print"><SelectField label={t('timeline.sheetFor')} value={vendor} choices={vendors.map(({ id, name = '' }) => [id, name])} onChange={choose} /></div>
      <article class="sheet">
        <h3 dir="auto">{found?.name}</h3>
        <p class="soft">{[title, date && longDate(date)].filter(Boolean).join(' · ')}</p>
        <ol>
          {itemsOf(plan, vendor).map((item) => (
            <li key={item.id}>
              <time>{clock(item.start)}</time>
              <span><strong dir="auto">{item.title}</strong> <span class="soft">{[duration(item.duration ?? 0), plan.placeById.value.get(item.place ?? '')?.name].filter(Boolean).join(' · ')}</span>
                {item.vendorNotes?.[vendor] && <em dir="auto">{item.vendorNotes[vendor]}</em>}</span>
            </li>
          ))}
        </ol>
      </article>
    </Dialog>
  )
}
