// What counts today, and how it follows what others do.
import { open, passes, PHONE, saved } from './support.mjs'

export const scenarios = {
  async overview () {
    const ann = await open('demo', 'overview')
    const phone = await open('demo', 'overview', { name: 'Goran Ilić', viewport: PHONE, colorScheme: 'dark' })
    await ann.locator('.here').getByText('Goran Ilić').waitFor()
    await ann.getByText(/of 250 come/).waitFor()
    await ann.getByText(/days to go/).waitFor()
    const task = ann.locator('.next-tasks li').first()
    const title = await task.locator('a').textContent()
    await phone.locator('.next-tasks').getByRole('checkbox', { name: `Done: ${title}`, exact: true }).click()
    await ann.waitForFunction((old) => document.querySelector('.next-tasks li a').textContent !== old, title)
    await saved(phone)
    await passes(ann, 'overview')
    await passes(phone, 'overview-phone')
  }
}
