// The day itself on a phone: the bar at the bottom with what waits for a decision, and who is here.
import assert from 'node:assert/strict'
import { begin, go, open, passes, paste, PHONE, saved } from './support.mjs'

const LEAST_PX = 44 // what a thumb hits
const GUESTS = ['First name,Last name,Household,Reply', 'Ann,Ash,Ash,yes', 'Ben,Ash,Ash,yes', 'Cem,Birch,Birch,yes', 'Dee,Elm,Elm,no']

const bar = (page, name) => page.locator('.bottom-nav').getByRole('link', { name })

export const scenarios = {
  async door () {
    const phone = await open('door', 'overview', { viewport: PHONE, hasTouch: true })
    const bao = await open('door', 'arrivals', { name: 'Bao' })
    await begin(phone, { title: 'The door', template: 'Small party' })
    await go(phone, 'door', 'guests')
    await paste(phone, GUESTS)
    assert.equal(await bar(phone, 'Arrivals').count(), 0)
    await go(phone, 'door', 'settings')
    await phone.getByLabel('Date', { exact: true }).fill(new Date().toISOString().slice(0, 10)) // of UTC, as the browser is
    await phone.getByLabel('Date', { exact: true }).press('Enter')
    await bar(phone, 'Arrivals').tap()
    for (const part of await phone.locator('.bottom-nav .nav-entry, .arrival-press, .arrival-controls input').all()) {
      const { height } = await part.boundingBox()
      assert.ok(height >= LEAST_PX, `${await part.textContent()}: ${height}`)
    }
    const search = await phone.getByRole('searchbox').boundingBox()
    assert.ok(search.y > PHONE.height / 2, 'the search is where the thumb is')
    await phone.locator('.faces .face').waitFor()
    await passes(phone, 'arrivals-phone')
    await phone.getByRole('button', { name: /^Cem Birch/ }).tap()
    await bao.locator('.summary', { hasText: '1 of 3 are here' }).waitFor()
    await phone.locator('.toast', { hasText: 'Cem Birch is here' }).getByRole('button', { name: 'Undo' }).tap()
    await bao.locator('.summary', { hasText: '0 of 3 are here' }).waitFor()
    await phone.getByRole('searchbox').fill('ash')
    await phone.getByRole('button', { name: /^All 2 of Ash/ }).first().tap()
    await bao.locator('.summary', { hasText: '2 of 3 are here' }).waitFor()
    await bao.getByRole('button', { name: /^Cem Birch/ }).focus()
    await bao.keyboard.press('Enter')
    await bao.locator('.summary', { hasText: '3 of 3 are here' }).waitFor()
    await bao.getByRole('button', { name: 'Here', exact: true }).click()
    assert.equal(await bao.locator('.arrival[data-here=true]').count(), 3)
    await passes(bao, 'arrivals')
    await bar(phone, 'Decisions').tap()
    await phone.getByRole('heading', { name: 'Decisions' }).waitFor()
    await saved(phone)
  }
}
