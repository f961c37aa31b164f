// Builds the page from clients/planner/src into static/: scripts, styles, the typeface, the page that names them by their
// content's hash, and the service worker that keeps them. The page is written last: its presence says that the build is
// complete.
import { build } from 'esbuild'
import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

const planner = join(import.meta.dirname, '../../clients/planner')
const source = join(planner, 'src')
const target = join(import.meta.dirname, 'static')
const shared = {
  bundle: true,
  minify: true,
  tsconfig: join(planner, 'tsconfig.json'),
  target: ['chrome109', 'firefox115', 'safari16.4'],
  legalComments: 'none'
}

/** Its name is not that of its content: browsers ask for it again, to see whether there is a new build. */
const buildWorker = (page, files) => build({
  ...shared,
  entryPoints: [join(source, 'worker.ts')],
  outfile: join(target, 'worker.js'),
  format: 'iife',
  define: {
    FILES: JSON.stringify(['./', ...files.map((name) => 'static/' + name)]),
    VERSION: JSON.stringify(createHash('sha256').update(page).digest('hex').slice(0, 12))
  }
})

await rm(target, { recursive: true, force: true })
await mkdir(target, { recursive: true })
const { metafile: { outputs } } = await build({
  ...shared,
  entryPoints: { main: join(source, 'main.tsx'), style: join(source, 'styles/index.css'), icon: join(source, 'icon.svg') },
  entryNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  loader: { '.woff2': 'file', '.svg': 'copy' },
  outdir: target,
  format: 'esm',
  metafile: true
})
const files = Object.keys(outputs).map((path) => basename(path))
const named = (start, ending) => 'static/' + files.find((name) => name.startsWith(start) && name.endsWith(ending))
const template = await readFile(join(source, 'index.html'), 'utf8')
const page = template
  .replace('SCRIPT_URL', named('main-', '.js'))
  .replace('STYLE_URL', named('style-', '.css'))
  .replace('ICON_URL', named('icon-', '.svg'))
await buildWorker(page, files)
await writeFile(join(target, 'index.html'), page)
for (const [path, { bytes }] of Object.entries(outputs)) console.log(`${basename(path)} ${(bytes / 1024).toFixed(1)} KiB`)
