// A dialog over the page, which waits until it is closed; and a drawer beside it, which does not.
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useLayoutEffect, useRef } from 'preact/hooks'
import { t } from '../i18n/index.js'
import { Button, IconButton } from './button.js'
import { X } from './icons.js'

interface PanelProps {
  title: string
  onClose: () => void
  children: ComponentChildren
  footer?: ComponentChildren
}

const Head = ({ id, title, onClose }: { id: string; title: string; onClose: () => void }) => (
  <div class="panel-head">
    <h2 id={id} tabIndex={-1} dir="auto">{title}</h2>
    <IconButton label={t('ui.close')} onClick={onClose}><X size={20} /></IconButton>
  </div>
)

export const Dialog = ({ title, onClose, children, footer }: PanelProps) => {
  const element = useRef<HTMLDialogElement>(null)
  const id = useId()
  useLayoutEffect(() => {
    const dialog = element.current!
    dialog.showModal()
    return () => dialog.close() // gives the focus back, which taking it out of the page does not
  }, [])
  const close = (event: Event): void => {
    event.preventDefault()
    onClose()
  }
  return (
    <dialog class="dialog" ref={element} aria-labelledby={id} onCancel={close}>
      <Head id={id} title={title} onClose={onClose} />
      <div class="panel-body">{children}</div>
      {footer && <footer class="panel-foot">{footer}</footer>}
    </dialog>
  )
}

interface ConfirmProps { title: string; action: string; onConfirm: () => void; onClose: () => void; children: ComponentChildren }

/** Asks before something that has no way back. */
export const Confirm = ({ title, action, onConfirm, onClose, children }: ConfirmProps) => {
  const confirm = (): void => {
    onClose()
    onConfirm()
  }
  return <Dialog title={title} onClose={onClose} footer={<><Button onClick={onClose}>{t('action.cancel')}</Button><Button kind="primary" onClick={confirm}>{action}</Button></>}>{children}</Dialog>
}

const FIRST_FIELD = '.drawer .panel-body input'
let isRenaming = false

/** Puts the focus into the name of what the drawer shows, where that was wished. */
const takesName = (): boolean => {
  const field = isRenaming ? document.querySelector<HTMLInputElement>(FIRST_FIELD) : null
  isRenaming = false
  field?.focus()
  field?.select()
  return field !== null
}

/** Opens the drawer of a record, to give it another name. */
export const renameInDrawer = (open: () => void): void => {
  isRenaming = true
  open()
  if (document.querySelector(FIRST_FIELD) !== null) takesName()
}

export const Drawer = ({ title, onClose, children, footer }: PanelProps) => {
  const element = useRef<HTMLDivElement>(null)
  const id = useId()
  useLayoutEffect(() => {
    const before = document.activeElement
    if (!takesName()) element.current?.querySelector('h2')?.focus()
    document.body.classList.add('with-drawer')
    return () => {
      document.body.classList.remove('with-drawer')
      if (before instanceof HTMLElement && before.isConnected) before.focus()
      requestAnimationFrame(() => {
        // What had the focus may be removed together with the drawer.
        if (document.activeElement === document.body) document.getElementById('page-title')?.focus()
      })
    }
  }, [])
  const escape = (event: KeyboardEvent): void => {
    if (event.key !== 'Escape' || event.defaultPrevented) return
    event.stopPropagation()
    onClose()
  }
  useEffect(() => {
    // The focus may have been in what is gone or disabled by now.
    const isNowhere = (event: KeyboardEvent): void => { if (event.target === document.body && document.querySelector('dialog[open]') === null) escape(event) }
    document.addEventListener('keydown', isNowhere)
    return () => document.removeEventListener('keydown', isNowhere)
  }, [onClose])
  return (
    <div class="drawer" ref={element} role="dialog" aria-labelledby={id} onKeyDown={escape}>
      <Head id={id} title={title} onClose={onClose} />
      <div class="panel-body">{children}</div>
      {footer && <footer class="panel-foot">{footer}</footer>}
    </div>
  )
}
