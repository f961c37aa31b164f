// The browser client of examples/browser, bundled and served by the command that its head names.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { readFile } from 'node:fs/promises'
import { browse, screenshots, server } from './support.mjs'

const COMMAND = /^\/\/ npx (esbuild .+) --serve=\S+$/m

/** Runs the command on a free port. Returns its URL and how to end it. */
const serve = async () => {
  const [, command] = COMMAND.exec(await readFile('examples/browser/main.js', 'utf8'))
  const [name, ...words] = command.split(' ')
  const esbuild = spawn(`node_modules/.bin/${name}`, [...words, '--serve=127.0.0.1:0'], { stdio: ['pipe', 'ignore', 'pipe'] })
  for await (const line of createInterface({ input: esbuild.stderr })) {
    const url = /http:\/\/\S+/.exec(line)
    if (url !== null) return { url: url[0], end: () => esbuild.kill() }
  }
  throw new Error('esbuild has ended')
}

export const scenarios = {
  // The guests of the sample wedding are listed, and who comes is seen in another window.
  async guests () {
    const { url, end } = await serve()
    try {
      const at = `${url}?server=${server.replace('http', 'ws')}`
      const [here, there] = await Promise.all([browse(at), browse(at)])
      for (const page of [here, there]) await page.locator('li').nth(249).waitFor()
      assert.equal(await here.locator('#count').textContent(), '250')
      const box = (page, state = '') => page.locator('li', { hasText: 'Kahurangi' }).first().locator(`input${state}`)
      const came = await box(here).isChecked()
      await box(here).click()
      await box(there, came ? ':not(:checked)' : ':checked').waitFor()
      await box(there).click()
      await box(here, came ? ':checked' : ':not(:checked)').waitFor()
      await here.screenshot({ path: `${screenshots}/example.png` })
    } finally {
      end()
    }
  }
}
