// What has just happened, and the way back. A toast stays for a while, and as long as somebody points at it.
import { signal } from '@preact/signals'
import { useEffect, useState } from 'preact/hooks'
import { t } from '../i18n/index.js'
import { Button, IconButton } from './button.js'
import { X } from './icons.js'

interface Toast {
  readonly id: number
  readonly text: string
  readonly kind: 'plain' | 'bad'
  readonly action: { readonly label: string; readonly run: () => void } | undefined
}

const STAY_MS = 8000
const MOST = 3

const toasts = signal<readonly Toast[]>([])
let lastId = 0

const dismiss = (id: number): void => { toasts.value = toasts.value.filter((toast) => toast.id !== id) }

export const toast = (text: string, { kind = 'plain', action }: { kind?: Toast['kind']; action?: NonNullable<Toast['action']> } = {}): void => {
  toasts.value = [...toasts.value.slice(1 - MOST), { id: ++lastId, text, kind, action }]
}

/** Says why the server refused a call, or why it gave no answer. */
export const toastRefusal = (error: unknown): void => {
  toast(t('entry.refused', { reason: error instanceof Error ? error.message : '' }), { kind: 'bad' })
}

const One = ({ toast: { id, text, kind, action } }: { toast: Toast }) => {
  const [isHeld, hold] = useState(false)
  useEffect(() => {
    if (isHeld) return
    const timer = setTimeout(() => dismiss(id), STAY_MS)
    return () => clearTimeout(timer)
  }, [id, isHeld])
  const run = (): void => {
    action?.run()
    dismiss(id)
  }
  return (
    <div class={`toast ${kind}`} onPointerEnter={() => hold(true)} onPointerLeave={() => hold(false)} onFocusCapture={() => hold(true)}>
      <p dir="auto">{text}</p>
      {action && <Button kind="quiet" onClick={run}>{action.label}</Button>}
      <IconButton label={t('ui.close')} onClick={() => dismiss(id)}><X size={16} /></IconButton>
    </div>
  )
}

export const Toasts = () =>
  <div class="toasts" role="status" aria-live="polite">{toasts.value.map((each) => <One key={each.id} toast={each} />)}</div>
