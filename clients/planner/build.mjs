// Builds the planner into a directory: scripts, styles, the typeface, the page that names them, and the service worker
// that keeps them. The page is written last: its presence says that the build is complete.
import { build } from 'esbuild'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

const source = join(import.meta.dirname, 'src')
const shared = {
  bundle: true,
  minify: true,
  tsconfig: join(import.meta.dirname, 'tsconfig.json'),
  target: ['chrome109', 'firefox115', 'safari16.4'],
  legalComments: 'none'
}

/** Its name is not that of its content: browsers ask for it again, to see whether there is a new build. */
const buildWorker = (target, page, files) => build({
  ...shared,
  entryPoints: [join(source, 'worker.ts')],
  outfile: join(target, 'planner-worker.js'),
  format: 'iife',
  define: {
    FILES: JSON.stringify(['planner', ...files.map((name) => 'static/' + name)]),
    VERSION: JSON.stringify(createHash('sha256').update(page).digest('hex').slice(0, 12))
  }
})

/** Returns the metafile of esbuild. */
export const buildPlanner = async (target) => {
  const { metafile } = await build({
    ...shared,
    entryPoints: { planner: join(source, 'main.tsx'), 'planner-style': join(source, 'styles/index.css'), 'planner-icon': join(source, 'icon.svg') },
    entryNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    loader: { '.woff2': 'file', '.svg': 'copy' },
    outdir: target,
    format: 'esm',
    metafile: true
  })
  const files = Object.keys(metafile.outputs).map((path) => basename(path))
  const named = (start, ending) => 'static/' + files.find((name) => name.startsWith(start) && name.endsWith(ending))
  const template = await readFile(join(source, 'index.html'), 'utf8')
  const page = template
    .replace('SCRIPT_URL', named('planner-', '.js'))
    .replace('STYLE_URL', named('planner-style-', '.css'))
    .replace('ICON_URL', named('planner-icon-', '.svg'))
  await buildWorker(target, page, files)
  await writeFile(join(target, 'planner.html'), page)
  return metafile
}
