// Without a network. The page is loaded anew, shows and edits everything, and says what waits to be sent.
import assert from 'node:assert/strict'
import { networkTo } from '../../support/network.mjs'
import { server } from '../support.mjs'
import { begin, go, open, passes, PHONE, record, saved } from './support.mjs'

const VIEWS = [
  ['guests', '.guest-row'], ['seating', '.table-top'], ['timeline', '.item'], ['budget', '.category'], ['tasks', '.record-list li'], ['settings', '.record-list li']
]

export const scenarios = {
  async reload () {
    const road = await networkTo(server)
    const ann = await open('offline', 'overview', { at: road.url, viewport: PHONE, serviceWorkers: 'allow' })
    await begin(ann, { title: 'Far away' })
    await go(ann, 'offline', 'guests')
    await ann.getByLabel('Add a guest: first and last name').fill('Mei Lee')
    await ann.keyboard.press('Enter')
    const cleo = await open('offline', 'messages', { name: 'Cleo' })
    await cleo.getByLabel('New conversation').fill('Cake')
    await cleo.getByRole('button', { name: 'Start' }).click()
    await cleo.getByLabel('Write a message').fill('With berries?')
    await cleo.keyboard.press('Enter')
    await cleo.locator('.message[data-waiting=false]').waitFor()
    await go(ann, 'offline', 'messages')
    await ann.getByLabel('New conversation').fill('Flowers')
    await ann.getByRole('button', { name: 'Start' }).click()
    await ann.locator('.composer').waitFor()
    await saved(ann)
    await ann.evaluate(() => navigator.serviceWorker.ready)
    await ann.waitForFunction(() => Object.entries(localStorage).some(([key, value]) => key.endsWith('fetched_threads') && Object.keys(JSON.parse(value)).length === 2))
    road.cut()

    await ann.reload()
    await ann.locator('.saved:is([data-state=offline], [data-state=kept])').waitFor() // kept: that all is stored was not noted yet
    await ann.getByRole('heading', { name: 'Flowers' }).waitFor() // the list, too, is that of before
    for (const [view, shown] of VIEWS) {
      await go(ann, 'offline', view)
      await ann.locator(shown).first().waitFor()
    }
    await go(ann, 'offline', 'messages') // of a conversation that was never opened here
    await ann.getByRole('link', { name: 'Cake' }).click()
    await ann.locator('.message', { hasText: 'With berries?' }).waitFor()
    await go(ann, 'offline', 'guests')
    await ann.getByLabel('Add a guest: first and last name').fill('Bo Lee')
    await ann.keyboard.press('Enter')
    await record(ann, 'Mei Lee').focus()
    await ann.keyboard.press('Delete')
    await go(ann, 'offline', 'messages')
    await ann.getByRole('link', { name: 'Flowers' }).click()
    await ann.getByLabel('Write a message').fill('Peonies?')
    await ann.keyboard.press('Enter')
    await ann.locator('.message[data-waiting=true]').waitFor()
    await go(ann, 'offline', 'guests') // the conversation is left, and its message waits all the same

    await ann.reload()
    await record(ann, 'Bo Lee').waitFor()
    assert.equal(await record(ann, 'Mei Lee').count(), 0)
    await ann.locator('.saved[data-state=kept]').getByRole('button').click()
    const waiting = ann.getByRole('dialog', { name: 'Waiting to be sent' })
    await waiting.getByText('Messages: Flowers').waitFor()
    await waiting.getByText('Guests').waitFor()
    await passes(ann, 'offline-phone', { state: 'kept', hasAxe: true })

    road.mend()
    await waiting.waitFor({ state: 'detached' })
    await saved(ann)
    const bao = await open('offline', 'guests', { name: 'Bao' })
    await record(bao, 'Bo Lee').waitFor()
    assert.equal(await record(bao, 'Mei Lee').count(), 0)
    await go(ann, 'offline', 'messages')
    await ann.getByRole('link', { name: 'Flowers' }).click()
    await ann.locator('.message[data-waiting=false]', { hasText: 'Peonies?' }).waitFor()
    assert.equal(await ann.locator('.message').count(), 1)
    road.close()
  }
}
