// A time zone, offered as somebody types; one that no browser knows is not taken.
import { isTimeZone, timeZones } from '../../format/time.js'
import { t } from '../../i18n/index.js'
import { TextField } from '../../ui/field.js'

interface ZoneFieldProps { value: string; onCommit: (zone: string) => void; placeholder?: string; disabled?: boolean }

export const ZoneField = ({ onCommit, ...shared }: ZoneFieldProps) => {
  const commit = (typed: string): string | undefined => {
    const zone = typed.trim().replaceAll(' ', '_')
    if (!isTimeZone(zone)) return t('settings.unknownZone')
    onCommit(zone)
    return undefined
  }
  return <TextField label={t('settings.timeZone')} offered={timeZones()} onCommit={commit} {...shared} />
}
