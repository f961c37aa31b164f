import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { Plan } from './plan.js'

export const PlanContext = createContext<Plan | undefined>(undefined)

/** The wedding that is open. */
export const usePlan = (): Plan => {
  const plan = useContext(PlanContext)
  if (plan === undefined) throw new Error('no wedding is open around this component')
  return plan
}
