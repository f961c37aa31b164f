// What reaches this person, by which channel and when. It is the server's, and written as soon as something is chosen.
import { useEffect, useState } from 'preact/hooks'
import { t, word, LANGUAGES } from '../../i18n/index.js'
import { usePlan } from '../../state/context.js'
import { Segments, SelectField, TextField } from '../../ui/field.js'
import { toastRefusal } from '../../ui/toast.js'
import { Addresses } from './addresses.js'
import { ZoneField } from './zone_field.js'

interface Chosen {
  readonly language: string
  readonly timezone: string
  readonly quiet_hours: { readonly start: string; readonly end: string } | null
  readonly digest_hour: number
  /** Group -> channel -> mode; what is left out is as the server routes it. */
  readonly types: Readonly<Record<string, Readonly<Record<string, string>>>>
}

interface Answer {
  readonly preferences: Chosen
  readonly timezone: string
  readonly modes: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>
}

const CHANNELS = ['in-app', 'mail', 'sms', 'push'] as const
const HOURS = Array.from({ length: 24 }, (_, hour) => [String(hour), `${String(hour).padStart(2, '0')}:00`] as const)
const QUIET = { start: '22:00', end: '07:00' }

const Groups = ({ answer: { preferences, modes }, onWrite }: { answer: Answer; onWrite: (more: Partial<Chosen>) => void }) => {
  const [channel, choose] = useState<string>('in-app')
  const { types } = preferences
  const write = (group: string, mode: string): void => {
    const { [channel]: _, ...others } = types[group] ?? {}
    onWrite({ types: { ...types, [group]: mode === '' ? others : { ...others, [channel]: mode } } })
  }
  return (
    <>
      <Segments label={t('preferences.channel')} value={channel} choices={CHANNELS.map((each) => [each, word('channel', each)])} onChange={choose} />
      <div class="preference-groups">
        {Object.keys(modes).filter((group) => modes[group]![channel]?.length).map((group) => (
          <SelectField key={group} label={word('group', group)} value={types[group]?.[channel] ?? ''} onChange={(mode) => write(group, mode)}
            choices={[['', t('mode.usual')], ...modes[group]![channel]!.map((mode) => [mode, word('mode', mode)] as const)]} />
        ))}
      </div>
    </>
  )
}

/** Times in which nothing is sent that is not urgent; without both there are none. */
const QuietHours = ({ quiet, onWrite }: { quiet: Chosen['quiet_hours']; onWrite: (more: Partial<Chosen>) => void }) => {
  const commit = (name: 'start' | 'end') => (text: string): void => {
    const next = { ...(quiet ?? QUIET), [name]: text }
    onWrite({ quiet_hours: text === '' || next.start === next.end ? null : next })
  }
  return (
    <>
      <TextField label={t('preferences.quietFrom')} type="time" value={quiet?.start ?? ''} onCommit={commit('start')} />
      <TextField label={t('preferences.quietTo')} type="time" value={quiet?.end ?? ''} onCommit={commit('end')} />
    </>
  )
}

export const Preferences = () => {
  const { wedding } = usePlan()
  const [answer, setAnswer] = useState<Answer>()
  const [isAway, setAway] = useState(false)
  useEffect(() => { wedding.call('GET', 'preferences').then(setAnswer, () => setAway(true)) }, [wedding])
  const write = (more: Partial<Chosen>): void => {
    const next = { ...answer!.preferences, ...more }
    setAnswer({ ...answer!, preferences: next })
    wedding.call('PUT', 'preferences', { body: next }).then(setAnswer, (error: unknown) => {
      setAnswer(answer)
      toastRefusal(error)
    })
  }
  return (
    <section class="card" aria-label={t('preferences.title')}>
      <h2>{t('preferences.title')}</h2>
      <p class="hint">{t(isAway ? 'preferences.away' : 'preferences.hint')}</p>
      {answer && (
        <div class="form">
          <div class="form two">
            <SelectField label={t('preferences.language')} value={answer.preferences.language} choices={[['', t('mode.usual')], ...Object.entries(LANGUAGES)]} onChange={(language) => write({ language })} />
            <ZoneField value={answer.preferences.timezone} placeholder={answer.timezone} onCommit={(timezone) => write({ timezone })} />
            <QuietHours quiet={answer.preferences.quiet_hours} onWrite={write} />
            <SelectField label={t('preferences.digest')} value={String(answer.preferences.digest_hour)} choices={HOURS} onChange={(hour) => write({ digest_hour: Number(hour) })} />
          </div>
          <Groups answer={answer} onWrite={write} />
          <Addresses />
        </div>
      )}
    </section>
  )
}
