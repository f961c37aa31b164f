// The page: the entry, or the wedding that is open with its navigation, its bar and the view that is chosen.
import type { ComponentType } from 'preact'
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import { t } from './i18n/index.js'
import { view, weddingName, type View } from './router.js'
import { opening } from './session/open.js'
import { Entry } from './session/entry.js'
import { isEmpty, Setup } from './setup/setup.js'
import { Navigation } from './shell/navigation.js'
import { Notices } from './shell/notices.js'
import { TopBar } from './shell/top_bar.js'
import { useUndoKeys } from './shell/undo_keys.js'
import { PlanContext } from './state/context.js'
import type { Plan } from './state/plan.js'
import { Toasts } from './ui/toast.js'
import { Arrivals } from './views/arrivals/arrivals.js'
import { Budget } from './views/budget/budget.js'
import { Conflicts } from './views/conflicts/conflicts.js'
import { Diets } from './views/diets/diets.js'
import { Guests } from './views/guests/guests.js'
import { Messages } from './views/messages/messages.js'
import { Notes } from './views/notes/notes.js'
import { Overview } from './views/overview/overview.js'
import { Seating } from './views/seating/seating.js'
import { Settings } from './views/settings/settings.js'
import { Tasks } from './views/tasks/tasks.js'
import { Timeline } from './views/timeline/timeline.js'
import { Vendors } from './views/vendors/vendors.js'

const SHOWN: Readonly<Record<View, ComponentType>> = {
  overview: Overview, guests: Guests, arrivals: Arrivals, seating: Seating, diets: Diets, timeline: Timeline, budget: Budget, tasks: Tasks, vendors: Vendors,
  conflicts: Conflicts, messages: Messages, notes: Notes, settings: Settings
}

/** Whoever goes to another view begins at its heading. */
const useFocusOnView = (): void => {
  const before = useRef(view.value)
  useLayoutEffect(() => {
    if (before.current !== view.value) document.getElementById('page-title')?.focus()
    before.current = view.value
  }, [view.value])
}

const Opened = ({ plan, isProven }: { plan: Plan; isProven: boolean }) => {
  useUndoKeys(plan)
  useFocusOnView()
  useEffect(() => plan.wedding.presence.set({ section: view.value }), [plan, view.value])
  useEffect(() => { document.title = plan.details.value.title || t('app.name') }, [plan.details.value.title])
  const View = SHOWN[view.value]
  if (isEmpty(plan)) return <Setup plan={plan} />
  return (
    <div class="app">
      <a class="skip" href="#page-title" onClick={(event) => { event.preventDefault(); document.getElementById('page-title')?.focus() }}>{t('app.skip')}</a>
      <Navigation />
      <div class="main">
        <TopBar isProven={isProven} />
        <main key={view.value}><View /></main>
      </div>
      <Notices />
    </div>
  )
}

export const App = () => {
  const now = opening.value
  return (
    <>
      {now.state === 'opening' && <div class="splash" role="status"><span class="spinner" aria-hidden="true" /><p>{t('app.opening')}</p></div>}
      {now.state === 'entry' && <Entry why={now.why} />}
      {now.state === 'open' && (
        <PlanContext.Provider value={now.plan} key={weddingName.value}><Opened plan={now.plan} isProven={now.isProven} /></PlanContext.Provider>
      )}
      <Toasts />
    </>
  )
}
