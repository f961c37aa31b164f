// The businesses that work at the wedding, and the places where it happens.
import type { rows, Row } from 'crdt-server-client'
import { t, word } from '../../i18n/index.js'
import { change } from '../../kinds/actions.js'
import { VENDOR } from '../../kinds/index.js'
import { mayAdd } from '../../kinds/kind.js'
import { go, openRecord } from '../../router.js'
import { usePlan } from '../../state/context.js'
import { AddLine } from '../../ui/add_line.js'
import { TextField } from '../../ui/field.js'
import { Store } from '../../ui/icons.js'
import { Empty, Page } from '../../ui/page.js'
import { RecordDrawer } from '../../ui/record_form.js'
import { RecordList } from '../../ui/record_list.js'
import { Removed } from '../../ui/removed.js'

/** Whom to call. It is one value, written whole. */
const ContactFields = ({ vendor }: { vendor: Row<rows.Vendor> }) => {
  const plan = usePlan()
  const { contact } = vendor
  const commit = (name: 'name' | 'email' | 'phone') => (text: string): string | undefined => {
    const { [name]: _, ...others } = contact ?? {}
    const next = text.trim() === '' ? others : { ...others, [name]: text.trim() }
    return change(plan, VENDOR, vendor.id, { contact: Object.keys(next).length === 0 ? null : next })
  }
  const shared = { disabled: !plan.wedding.vendors.mayWrite(vendor.id, 'contact') }
  return (
    <div class="form">
      <TextField label={t('vendor.contact')} value={contact?.name ?? ''} onCommit={commit('name')} {...shared} />
      <TextField label={t('guest.email')} type="email" value={contact?.email ?? ''} onCommit={commit('email')} {...shared} />
      <TextField label={t('guest.phone')} type="tel" value={contact?.phone ?? ''} onCommit={commit('phone')} {...shared} />
      {contact?.email && <a href={`mailto:${encodeURIComponent(contact.email)}`}>{t('vendor.write')}</a>}
    </div>
  )
}

export const Vendors = () => {
  const plan = usePlan()
  const vendors = plan.vendors.value
  const open = plan.vendorById.value.get(openRecord.value)
  const booked = vendors.filter(({ stage }) => stage === 'booked' || stage === 'confirmed').length
  return (
    <Page title={t('view.vendors')} summary={t('vendors.summary', { n: vendors.length, booked })} actions={<Removed kind={VENDOR} />}>
      <AddLine kind={VENDOR} label={t('vendors.add')} />
      {vendors.length === 0 && <Empty title={t('vendors.none')} icon={<Store size={40} />}>{mayAdd(plan, VENDOR) && <p>{t('vendors.noneHint')}</p>}</Empty>}
      {vendors.length > 0 && (
        <div class="card">
          <RecordList kind={VENDOR} rows={vendors} onOpen={(record) => go({ view: 'vendors', record })}
            after={(row) => <><span class="soft grow">{row.category && word('category', row.category)}</span>{row.stage && <span class={`chip stage-${row.stage}`}>{word('stage', row.stage)}</span>}</>} />
        </div>
      )}
      {open && (
        <RecordDrawer key={open.id} kind={VENDOR} row={open} onClose={() => go({ view: 'vendors' })}>
          <ContactFields vendor={open} />
        </RecordDrawer>
      )}
    </Page>
  )
}
