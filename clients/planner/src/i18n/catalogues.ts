// The sentences of each language, put together. The keys of English are those of every other.
import { page as dePage } from './de/page.js'
import { people as dePeople } from './de/people.js'
import { plan as dePlan } from './de/plan.js'
import { talk as deTalk } from './de/talk.js'
import { values as deValues } from './de/values.js'
import { page as enPage } from './en/page.js'
import { people as enPeople } from './en/people.js'
import { plan as enPlan } from './en/plan.js'
import { talk as enTalk } from './en/talk.js'
import { values as enValues } from './en/values.js'

export type Key = keyof typeof enPage | keyof typeof enPeople | keyof typeof enPlan | keyof typeof enTalk | keyof typeof enValues
export type Language = 'en' | 'de'

export const CATALOGUES: Readonly<Record<Language, Readonly<Record<Key, string>>>> = {
  en: { ...enPage, ...enPeople, ...enPlan, ...enTalk, ...enValues },
  de: { ...dePage, ...dePeople, ...dePlan, ...deTalk, ...deValues }
}
