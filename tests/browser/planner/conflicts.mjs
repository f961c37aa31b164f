// Conflicts as decisions.
import { go, open, passes, PHONE, saved } from './support.mjs'

export const scenarios = {
  // One answer is recommended, the others are folded; the row is marked and one press away; what is settled says who won.
  async decide () {
    const [ann, bao] = await Promise.all([open('demo', 'conflicts'), open('demo', 'budget', { name: 'Bao' })])
    await bao.getByLabel('Add a category').fill('Rings') // the rules of a document are tried when it is written
    await bao.keyboard.press('Enter')
    const card = ann.locator('.conflict', { hasText: 'Corkage costs' })
    await card.getByText('Recommended').waitFor()
    await passes(ann, 'conflicts')
    await card.getByRole('button', { name: 'other answers' }).click()
    await card.locator('.others li').first().waitFor()
    await bao.locator('.record-list li', { hasText: 'Corkage' }).locator('.mark').waitFor()
    await card.locator('.about').getByRole('link', { name: 'Corkage' }).click()
    await ann.getByRole('dialog', { name: 'Corkage' }).waitFor()
    await go(ann, 'demo', 'conflicts')
    await card.locator('.recommended').getByRole('button', { name: 'Choose' }).click()
    await card.waitFor({ state: 'detached' })
    await ann.locator('.settled', { hasText: 'Corkage costs' }).first().waitFor()
    await bao.locator('.record-list li', { hasText: 'Corkage' }).locator('.mark').waitFor({ state: 'detached' })
    await saved(ann)
    const phone = await open('demo', 'conflicts', { name: 'Goran', viewport: PHONE, colorScheme: 'dark' })
    await phone.locator('.conflict').first().waitFor()
    await phone.locator('.bottom-nav').getByRole('link', { name: 'Decisions' }).locator('.count').waitFor()
    await passes(phone, 'conflicts-phone')
  }
}
