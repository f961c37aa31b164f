// Every sentence of the page, by key. A text with two forms has them with a bar between: `{n} guest|{n} guests`.
import { signal } from '@preact/signals'
import { folded } from '../format/text.js'
import { CATALOGUES, type Key, type Language } from './catalogues.js'

export type { Key, Language } from './catalogues.js'
export const LANGUAGES: Readonly<Record<Language, string>> = { en: 'English', de: 'Deutsch' }

const KEPT = 'wedding-planner.language'

const first = (): Language => {
  try {
    const kept = localStorage.getItem(KEPT)
    if (kept === 'en' || kept === 'de') return kept
  } catch {
    // Storage may be forbidden.
  }
  return navigator.language.startsWith('de') ? 'de' : 'en'
}

export const language = signal<Language>(first())

/** For dates: the chosen language as this browser's country writes it. */
export const dateLocale = (): string =>
  navigator.languages.find((each) => each.startsWith(language.value)) ?? ({ en: 'en-GB', de: 'de-DE' } as const)[language.value]

export const setLanguage = (next: Language): void => {
  language.value = next
  document.documentElement.lang = next
  try {
    localStorage.setItem(KEPT, next)
  } catch {
    // Storage may be forbidden: it lasts as long as the page.
  }
}

/** A sentence with its parameters. `n` chooses between its forms. */
export const t = (key: Key, parameters: Readonly<Record<string, string | number>> = {}): string => {
  const forms = CATALOGUES[language.value][key].split('|')
  const isOne = new Intl.PluralRules(language.value).select(Number(parameters['n'] ?? 2)) === 'one'
  const form = (isOne ? forms[0] : forms.at(-1))!
  return form.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = parameters[name]
    return typeof value === 'number' ? value.toLocaleString(language.value) : value ?? ''
  })
}

/** The word for a value of an enumeration, which has a key of its own. */
export const word = (family: string, value: string): string => {
  const key = `${family}.${value}`
  return key in CATALOGUES.en ? t(key as Key) : value.replaceAll('_', ' ')
}

/** The values of a family that have a word. */
export const wordsOf = (family: string): readonly string[] =>
  Object.keys(CATALOGUES.en).filter((key) => key.startsWith(`${family}.`)).map((key) => key.slice(family.length + 1))

/** The value that somebody means by a word, in whichever language; undefined where no word of the family is such. */
export const meantBy = (family: string, text: string): string | undefined => wordsOf(family).find((value) =>
  Object.values(CATALOGUES).some((catalogue) => folded(catalogue[`${family}.${value}` as Key]) === folded(text)))
