// What holds for every view: whether all is saved, undo and redo, and who is here.
import { t } from '../i18n/index.js'
import { turnBack } from '../kinds/actions.js'
import { usePlan } from '../state/context.js'
import { valueOf } from '../state/follow.js'
import { othersHere } from '../state/people.js'
import { IconButton } from '../ui/button.js'
import { Redo2, Undo2 } from '../ui/icons.js'
import { Face } from '../ui/person.js'
import { Rings } from './brand.js'
import { Saved } from './saved.js'
import { You } from './you.js'

const MOST_FACES = 4

const Faces = () => {
  const others = othersHere(usePlan()).value
  const people = [...new Map(others.map((person) => [person.user, person])).values()]
  if (people.length === 0) return null
  return (
    <div class="faces" role="img" aria-label={t('people.here', { names: people.map(({ name }) => name).join(', ') })}>
      {people.slice(0, MOST_FACES).map(({ user, name, color }) => <Face key={user} name={name} color={color} />)}
      {people.length > MOST_FACES && <span class="face more">+{people.length - MOST_FACES}</span>}
    </div>
  )
}

export const TopBar = ({ isProven }: { isProven: boolean }) => {
  const plan = usePlan()
  const { canUndo, canRedo } = valueOf(plan.wedding.undoable).value
  return (
    <header class="top-bar">
      <div class="brand"><Rings /><span dir="auto">{plan.details.value.title || t('app.name')}</span></div>
      <Saved />
      <div class="undo">
        <IconButton label={t('action.undo')} disabled={!canUndo} aria-keyshortcuts="Control+Z" onClick={() => turnBack(plan, 'undo')}><Undo2 size={18} /></IconButton>
        <IconButton label={t('action.redo')} disabled={!canRedo} aria-keyshortcuts="Control+Shift+Z" onClick={() => turnBack(plan, 'redo')}><Redo2 size={18} /></IconButton>
      </div>
      <Faces />
      <You isProven={isProven} />
    </header>
  )
}
