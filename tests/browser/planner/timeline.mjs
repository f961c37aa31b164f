// The timeline as a day.
import assert from 'node:assert/strict'
import { begin, go, open, passes, PHONE, saved } from './support.mjs'

const item = (page, title) => page.locator('.item', { hasText: title })

export const scenarios = {
  // What follows is shown while an item is dragged, and happens when it is let go; one step takes all of it back.
  async ripple () {
    const [ann, bao] = await Promise.all([open('demo', 'timeline'), open('demo', 'timeline', { name: 'Bao' })])
    const moved = item(ann, 'Chairs in the garden')
    await moved.scrollIntoViewIfNeeded()
    const { x, y } = await moved.boundingBox()
    await ann.mouse.move(x + 30, y + 20)
    await ann.mouse.down()
    await ann.mouse.move(x + 30, y + 80, { steps: 4 })
    await ann.locator('.ripple').getByText(/later items? follows?/).waitFor()
    assert.ok(await ann.locator('.ghost').count() > 1)
    await item(bao, 'Chairs in the garden').getByText('09:30').waitFor()
    await ann.mouse.up()
    await item(bao, 'Chairs in the garden').getByText('09:30').waitFor({ state: 'detached' })
    await saved(ann)
    await ann.locator('.toast').getByRole('button', { name: 'Undo' }).click()
    await item(bao, 'Chairs in the garden').getByText('09:30').waitFor()
    await saved(ann)
  },

  // By keys; lengths are read as people write them; lanes by vendor; a sheet for one vendor.
  async keyboard () {
    const ann = await open('daykeys', 'overview')
    await begin(ann, { title: 'A day' })
    await go(ann, 'daykeys', 'timeline')
    await item(ann, 'Dinner').focus()
    await ann.keyboard.press('ArrowDown')
    await item(ann, 'Dinner').getByText('17:50').waitFor()
    await ann.keyboard.press('Enter')
    const drawer = ann.getByRole('dialog', { name: 'Dinner' })
    await drawer.getByLabel('Length').fill('2 h 15')
    await drawer.getByLabel('Length').press('Enter')
    await item(ann, 'Dinner').getByText('until 20:05, 2 h 15').waitFor({ state: 'attached' })
    await passes(ann, 'timeline-drawer')
    await item(ann, 'Dinner').focus()
    await ann.keyboard.press('Delete')
    await item(ann, 'Dinner').waitFor({ state: 'detached' })
    await ann.keyboard.press('Control+z')
    await item(ann, 'Dinner').waitFor()
    await ann.getByLabel('Add an item').fill('Fireworks')
    await ann.keyboard.press('Enter')
    await item(ann, 'Fireworks').waitFor()
  },

  // From nothing to the sheet of a vendor; who is needed has a lane; an item of the evening before is shown on its day.
  async people () {
    const ann = await open('people', 'overview')
    await begin(ann, { title: 'Who does what' })
    await go(ann, 'people', 'vendors')
    await ann.getByText('No vendors yet').waitFor()
    await ann.getByLabel('Add a vendor').fill('Silver Strings')
    await ann.keyboard.press('Enter')
    await go(ann, 'people', 'timeline')
    await ann.getByRole('button', { name: 'Sheet' }).click()
    await ann.getByText('No vendor works on an item yet').waitFor()
    await ann.keyboard.press('Escape')
    await item(ann, 'Cake').press('Enter')
    const drawer = ann.getByRole('dialog', { name: 'Cake' })
    await drawer.getByRole('group', { name: 'Vendors' }).getByRole('button', { name: 'Silver Strings' }).press('Enter')
    await drawer.getByRole('group', { name: 'Who is needed' }).getByRole('button', { name: 'Bride' }).click()
    await ann.getByRole('radio', { name: 'by vendor' }).check()
    await ann.getByRole('region', { name: 'Silver Strings' }).getByRole('button', { name: 'Cake' }).waitFor()
    await ann.getByRole('radio', { name: 'by person' }).check()
    await ann.getByRole('region', { name: 'Bride' }).getByRole('button', { name: 'Cake' }).waitFor()
    await drawer.getByLabel('Start').fill('19:00 -1')
    await drawer.getByLabel('Start').press('Enter')
    await ann.getByText('1 item, 19:00 -1 to').waitFor()
    await saved(ann)
    await ann.keyboard.press('Escape')
    await ann.getByRole('button', { name: 'Sheet' }).click()
    await ann.getByRole('dialog', { name: 'Sheet' }).getByText('Cake').waitFor()
  },

  async lanes () {
    const phone = await open('demo', 'timeline', { name: 'Goran', viewport: PHONE, colorScheme: 'dark' })
    const wide = await open('demo', 'timeline')
    await item(wide, 'Ceremony').first().waitFor()
    await wide.locator('.overlap').first().waitFor({ state: 'attached' })
    await passes(wide, 'timeline')
    await passes(phone, 'timeline-phone')
    await wide.getByRole('radio', { name: 'by vendor' }).check()
    await wide.getByRole('heading', { name: 'Night Shift Sounds' }).waitFor()
    await wide.getByRole('button', { name: 'Sheet' }).click()
    await wide.getByRole('dialog', { name: 'Sheet' }).locator('time').first().waitFor()
    await passes(wide, 'timeline-sheet')
  }
}
