// Builds the page from src/ into static/: one script, one stylesheet, one icon, named by their
// content's hash, and the page that names them. The page is written last:
// its presence says that the build is complete.
import { build } from 'esbuild'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { buildPlanner } from '../../clients/planner/build.mjs'

const source = join(import.meta.dirname, 'src')
const target = join(import.meta.dirname, 'static')

await rm(target, { recursive: true, force: true })
await mkdir(target, { recursive: true })
const { metafile } = await build({
  entryPoints: ['main.js', 'style.css', 'icon.svg'].map((name) => join(source, name)),
  loader: { '.svg': 'copy' },
  entryNames: '[name]-[hash]',
  outdir: target,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['chrome109', 'firefox115', 'safari16.4'],
  legalComments: 'none',
  metafile: true
})
const planner = await buildPlanner(target)
const files = Object.keys(metafile.outputs).map((path) => basename(path))
const named = (ending) => 'static/' + files.find((name) => name.endsWith(ending))
const page = await readFile(join(source, 'index.html'), 'utf8')
await writeFile(
  join(target, 'index.html'),
  page
    .replace('SCRIPT_URL', named('.js'))
    .replace('STYLE_URL', named('.css'))
    .replace('ICON_URL', named('.svg'))
)
for (const [path, { bytes }] of Object.entries({ ...metafile.outputs, ...planner.outputs })) {
  console.log(`${basename(path)} ${(bytes / 1024).toFixed(1)} KiB`)
}
