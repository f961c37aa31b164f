// The budget.
import { begin, go, open, passes, record, saved } from './support.mjs'

const HALL = 'Hall <b>ליל</b> & 🎂' // text, never markup

export const scenarios = {
  // A cost is agreed and paid; it is on the calendar; over the limit nothing is green.
  async pay () {
    const [ann, bao] = await Promise.all([open('pay', 'overview'), open('pay', 'overview', { name: 'Bao' })])
    await begin(ann, { title: 'Money', template: 'Small party' })
    await go(ann, 'pay', 'budget')
    await go(bao, 'pay', 'budget')
    await ann.getByLabel('Add a cost').first().fill(HALL)
    await ann.keyboard.press('Enter')
    await record(ann, HALL).click()
    const drawer = ann.getByRole('dialog', { name: HALL })
    await drawer.getByLabel('Agreed').fill('2,000')
    await drawer.getByLabel('Agreed').press('Enter')
    await drawer.getByRole('textbox', { name: 'Amount' }).fill('500')
    await drawer.getByRole('button', { name: 'Record a payment' }).click()
    await bao.locator('.record-list', { hasText: '€500 paid' }).waitFor()
    await ann.locator('.payments input[inputmode=decimal]:focus').waitFor() // not lost with the form
    await bao.locator('.layer-legend', { hasText: 'Agreed €2,000' }).waitFor()
    await bao.locator('.calendar .chip', { hasText: '€500' }).waitFor()
    await drawer.getByRole('button', { name: 'Void' }).click()
    await bao.locator('.calendar .chip').waitFor({ state: 'detached' })
    await drawer.getByRole('button', { name: 'Restore' }).click()
    await passes(ann, 'budget-drawer')
    await bao.getByLabel('Limit').fill('1.000,00')
    await bao.getByLabel('Limit').press('Enter')
    await ann.locator('.totals .beyond').waitFor()
    await saved(bao)
    await go(bao, 'pay', 'overview')
    await bao.getByText('€1,000 over the limit of €1,000').waitFor()
    const question = bao.locator('.conflict', { hasText: 'Everything together costs' })
    await go(bao, 'pay', 'conflicts')
    await question.getByText(`Take ${HALL} off the budget`).or(question.getByText(HALL)).first().waitFor()
    await drawer.getByLabel('Agreed').fill('900')
    await drawer.getByLabel('Agreed').press('Enter')
    await question.waitFor({ state: 'detached' })
    await saved(ann)
  }
}
