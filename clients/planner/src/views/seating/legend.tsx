// What the colours of chairs mean.
import { word } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import { toneOf, type ColorBy } from './room.js'

const FAMILY: Readonly<Partial<Record<ColorBy, readonly [family: string, values: readonly string[]]>>> = {
  side: ['side', ['a', 'b', 'both']], reply: ['reply', ['yes', 'maybe', 'pending', 'no']], allergy: ['degree', ['severe', 'mild']]
}
const TONE: Readonly<Record<string, string>> = { severe: 'reply-no', mild: 'reply-maybe' }

export const ColorLegend = ({ by }: { by: ColorBy }) => {
  const plan = usePlan()
  const family = FAMILY[by]
  const entries = by === 'meal'
    ? [...new Map(plan.guests.value.filter(({ meal }) => meal).map((guest) => [guest.meal!, toneOf(plan, guest, by)]))].map(([meal, tone]) => [word('meal', meal), tone] as const)
    : (family?.[1] ?? []).map((value) => [word(family![0], value), TONE[value] ?? `${by}-${value}`] as const)
  if (entries.length === 0) return null
  return <ul class="color-legend">{entries.map(([name, tone]) => <li key={name}><span class={`dot ${tone}`} aria-hidden="true" />{name}</li>)}</ul>
}
