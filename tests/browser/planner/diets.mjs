// Diets, allergies and meals: how many of each, for whom, and where they sit.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { begin, go, open, passes, paste, PHONE, record, saved } from './support.mjs'

const portion = (page, name) => page.locator('.portion', { has: page.locator('summary', { hasText: name }) })
const guests = ['First name,Last name,Meal,RSVP', 'Ann,Ash,beef,yes', 'Ben,Ash,fish,yes', 'Cem,Birch,beef,no', 'Dia,Birch,beef,yes']

export const scenarios = {
  // Notes of two guests are counted, also for who opens the view later; a guest's table and chair stand beside the name.
  async counted () {
    const [ann, bao] = await Promise.all([open('diets', 'overview'), open('diets', 'overview', { name: 'Bao', viewport: PHONE })])
    await begin(ann, { title: 'The meals', template: 'Small party' })
    await go(ann, 'diets', 'guests')
    await paste(ann, guests)
    await record(ann, 'Ann Ash').click()
    const drawer = ann.getByRole('dialog')
    await drawer.getByRole('button', { name: 'vegan' }).click()
    await drawer.getByLabel('Add an allergy').selectOption('peanut')
    await drawer.getByLabel('Allergy: peanut').selectOption('severe')
    await ann.keyboard.press('Escape')
    await go(ann, 'diets', 'seating')
    await ann.locator('.waiting', { hasText: 'Ann Ash' }).click()
    await ann.getByRole('button', { name: 'Table 2, seat 3: free' }).click()
    await saved(ann)

    await go(bao, 'diets', 'diets')
    await bao.getByText('3 guests, 1 with needs, 0 without a meal').waitFor()
    await portion(bao, 'peanut').getByText('1 severe').waitFor()
    await portion(bao, 'peanut').locator('li', { hasText: 'Table 2, chair 3' }).getByRole('link', { name: 'Ann Ash' }).waitFor()
    const beef = portion(bao, 'beef')
    assert.equal(await beef.locator('summary strong').textContent(), '2')
    await beef.locator('summary').click()
    await beef.getByRole('link', { name: 'Dia Birch' }).waitFor()
    assert.equal(await bao.getByRole('link', { name: 'Cem Birch' }).count(), 0) // has declined
    await passes(bao, 'diets-phone', { hasAxe: true })

    const download = bao.waitForEvent('download')
    await bao.getByRole('button', { name: 'For the caterer' }).click()
    const sheet = await readFile(await (await download).path(), 'utf8')
    assert.match(sheet, /\n2,3,Ann Ash,adult,beef,vegan,peanut \(severe\)\r/)

    await go(ann, 'diets', 'guests')
    await ann.getByLabel('Food', { exact: true }).selectOption('allergen.peanut')
    await ann.getByLabel('Choose all 1', { exact: true }).waitFor()
    assert.deepEqual(await ann.locator('.guest-row .record-name').allTextContents(), ['Ann Ash'])
    await ann.getByLabel('Food', { exact: true }).selectOption('meal.beef')
    await ann.getByLabel('Choose all 3', { exact: true }).waitFor()
  },

  // To a caterer replies are not open: every need is there, and nobody is counted as not coming.
  async caterer () {
    const page = await open('demo', 'diets', { name: 'Cato', role: 'caterer', person: { enforce: true } })
    await page.locator('.portion', { hasText: 'peanut' }).first().waitFor()
    await page.getByText(/^250 guests, \d+ with needs/).waitFor()
    await page.getByRole('button', { name: 'At a table' }).click()
    await page.getByText(/^1\d\d guests, \d+ with needs/).waitFor()
    await go(page, 'demo', 'guests')
    await page.locator('.summary', { hasText: /^250 guests$/ }).waitFor()
    assert.equal(await page.locator('.reply, .guest-row input, .choose-all input').count(), 0)
    await go(page, 'demo', 'overview')
    await page.locator('.countdown').waitFor()
    assert.equal(await page.locator('.ring').count(), 0)
    await go(page, 'demo', 'seating')
    await page.locator('.table-top').first().waitFor()
    assert.equal(await page.locator('.seating-side').count(), 0)
  },

  // A photographer may not open notes about guests: no such view, no such filter, and nothing at its address.
  async closed () {
    const page = await open('demo', 'overview', { name: 'Pia', role: 'photographer', person: { enforce: true } })
    await page.locator('.overview').waitFor()
    assert.equal(await page.locator('.side-nav').getByRole('link', { name: 'Food' }).count(), 0)
    await go(page, 'demo', 'diets')
    await page.getByText('Diets and allergies are not open to you').waitFor()
    assert.equal(await page.locator('.portion').count(), 0)
  }
}
