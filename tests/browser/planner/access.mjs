// Everything for everybody: axe finds nothing in any view, in either size and in either scheme of colours.
import { go, isAll, open, passes, PHONE } from './support.mjs'

const VIEWS = ['overview', 'guests', 'arrivals', 'seating', 'diets', 'timeline', 'budget', 'tasks', 'vendors', 'conflicts', 'messages', 'settings', 'notes']
const SCHEMES = ['light', 'dark']

/** An ordinary run sees each view once: every other one on a phone, every other two in the dark. */
const isWanted = (at, isPhone, isDark) => isAll || (at % 2 === Number(isPhone) && (at >> 1) % 2 === Number(isDark))

const all = async (isPhone) => {
  const page = await open('demo', 'overview', { name: 'Dara', ...(isPhone ? { viewport: PHONE, hasTouch: true } : {}) })
  for (const [at, view] of VIEWS.entries()) {
    for (const colorScheme of SCHEMES.filter((scheme) => isWanted(at, isPhone, scheme === 'dark'))) {
      await go(page, 'demo', view)
      await page.emulateMedia({ colorScheme })
      await passes(page, `${view}-${isPhone ? 'phone' : 'desktop'}-${colorScheme}`, { hasAxe: true })
    }
  }
}

export const scenarios = {
  async desktop () {
    await all(false)
  },

  async phone () {
    await all(true)
  }
}
