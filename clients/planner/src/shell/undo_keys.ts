// Ctrl+Z and Ctrl+Shift+Z, wherever the focus is. A text that somebody is typing has its own; as soon as it is written or
// left, the keys take back what was written.
import { useEffect } from 'preact/hooks'
import { turnBack } from '../kinds/actions.js'
import type { Plan } from '../state/plan.js'

const TEXT = 'textarea, [contenteditable], input:not([type=checkbox], [type=radio], [type=file])'

let typing: EventTarget | null = null

const typed = ({ target }: Event): void => { if (target instanceof Element && target.matches(TEXT)) typing = target }

const done = (): void => { typing = null }

const isTyping = (target: EventTarget | null): boolean =>
  target !== null && (target === typing || (target instanceof Element && target.getAttribute('aria-invalid') === 'true'))

export const useUndoKeys = (plan: Plan): void => useEffect(() => {
  const key = (event: KeyboardEvent): void => {
    const isArea = event.target instanceof HTMLTextAreaElement
    if ((event.key === 'Enter' && !isArea) || event.key === 'Escape') done()
    if (!(event.ctrlKey || event.metaKey) || event.altKey || isTyping(event.target)) return
    const isRedo = event.key.toLowerCase() === 'y' || (event.shiftKey && event.key.toLowerCase() === 'z')
    if (!isRedo && event.key.toLowerCase() !== 'z') return
    event.preventDefault()
    turnBack(plan, isRedo ? 'redo' : 'undo')
  }
  addEventListener('input', typed)
  addEventListener('focusout', done)
  addEventListener('keydown', key)
  return () => {
    removeEventListener('input', typed)
    removeEventListener('focusout', done)
    removeEventListener('keydown', key)
  }
}, [plan])
