// Conversations. A message that is written offline is shown as waiting, and arrives once.
import assert from 'node:assert/strict'
import { open, passes, PHONE } from './support.mjs'

export const scenarios = {
  async conversation () {
    const ann = await open('demo', 'messages')
    await ann.getByLabel('New conversation').fill('Flowers')
    await ann.getByRole('button', { name: 'Start' }).click()
    await ann.getByRole('heading', { name: 'Flowers' }).waitFor()
    await ann.getByLabel('Write a message').fill('Peonies or roses?')
    await ann.keyboard.press('Enter')
    await ann.locator('.message[data-waiting=false]', { hasText: 'Peonies or roses?' }).waitFor()
    await ann.getByRole('button', { name: /^You:/ }).click()
    await ann.getByLabel('Work offline').check()
    await ann.keyboard.press('Escape')
    await ann.getByLabel('Write a message').fill('Written on the train')
    await ann.keyboard.press('Enter')
    await ann.locator('.message[data-waiting=true]', { hasText: 'on the train' }).waitFor()
    await ann.locator('.saved[data-state=kept]').waitFor()
    await ann.getByRole('button', { name: /^You:/ }).click()
    await ann.getByLabel('Work offline').uncheck()
    await ann.keyboard.press('Escape')
    await ann.locator('.message[data-waiting=false]', { hasText: 'on the train' }).waitFor()
    assert.equal(await ann.locator('.message', { hasText: 'on the train' }).count(), 1)
    await passes(ann, 'messages')
    await ann.getByRole('link', { name: 'Inbox' }).click()
    await ann.getByRole('heading', { name: 'Inbox' }).waitFor()
    await passes(ann, 'inbox')
    const phone = await open('demo', 'messages', { viewport: PHONE, colorScheme: 'dark' })
    await phone.getByRole('link', { name: 'Flowers' }).click()
    await phone.locator('.message', { hasText: 'Peonies' }).waitFor()
    await passes(phone, 'messages-phone')
  }
}
