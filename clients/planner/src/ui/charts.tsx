// Small charts, each with its numbers in words beside it: a ring of parts, and a bar with marks.
import type { JSX } from 'preact'

export interface Part { readonly name: string; readonly value: number; readonly tone: string }

const RADIUS = 42
const ROUND = 2 * Math.PI * RADIUS
const GAP = 2

/** Parts of a whole around a sentence. Decoration: the parts are listed beside it. */
export const Ring = ({ parts, children }: { parts: readonly Part[]; children: preact.ComponentChildren }) => {
  const whole = parts.reduce((sum, { value }) => sum + value, 0) || 1
  let before = 0
  return (
    <div class="ring">
      <svg viewBox="0 0 100 100" aria-hidden="true" focusable="false">
        <circle class="ring-ground" cx="50" cy="50" r={RADIUS} />
        {parts.filter(({ value }) => value > 0).map(({ name, value, tone }) => {
          const length = (value / whole) * ROUND
          const offset = -before
          before += length
          return <circle key={name} class={`ring-part ${tone}`} cx="50" cy="50" r={RADIUS} stroke-dasharray={`${Math.max(length - GAP, 1)} ${ROUND}`} stroke-dashoffset={offset} />
        })}
      </svg>
      <div class="ring-text">{children}</div>
    </div>
  )
}

export const Legend = ({ parts }: { parts: readonly Part[] }) => (
  <ul class="legend">
    {parts.map(({ name, value, tone }) => (
      <li key={name}><span class={`dot ${tone}`} aria-hidden="true" /><span>{name}</span><strong>{value.toLocaleString()}</strong></li>
    ))}
  </ul>
)

const percent = (value: number, whole: number): string => `${Math.min(Math.max((value / (whole || 1)) * 100, 0), 100)}%`

/** How much of a limit each layer takes; the widest is drawn first. */
export const LayerBar = ({ limit, layers }: { limit: number; layers: readonly Part[] }) => {
  const most = Math.max(limit, ...layers.map(({ value }) => value))
  return (
    <div class="layer-bar" aria-hidden="true">
      {layers.map(({ name, value, tone }) => <span key={name} class={tone} style={{ inlineSize: percent(value, most) } as JSX.CSSProperties} />)}
      {limit > 0 && most > limit && <span class="over beyond" style={{ insetInlineStart: percent(limit, most) } as JSX.CSSProperties} />}
      {most > limit && <i style={{ insetInlineStart: percent(limit, most) } as JSX.CSSProperties} />}
    </div>
  )
}
