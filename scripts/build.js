// Compiles src to dist, bundles the scripts of the pages, copies what is not code.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const src = join(root, 'src');
const dist = join(root, 'dist');

rmSync(dist, { recursive: true, force: true });
const tsc = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', root], {
  stdio: 'inherit',
});
if (tsc.status !== 0) process.exit(1);

const files = readdirSync(src, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => relative(src, join(entry.parentPath, entry.name)));

for (const file of files.filter((name) => /\.(sql|html|css|svg|json)$/.test(name) && !name.endsWith('tsconfig.json'))) {
  mkdirSync(dirname(join(dist, file)), { recursive: true });
  cpSync(join(src, file), join(dist, file));
}

const entryPoints = files.filter((name) => /(^|\/)pages\/main\.ts$/.test(name)).map((name) => join(src, name));
await build({
  entryPoints,
  outbase: src,
  outdir: dist,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  logLevel: 'warning',
});

if (existsSync(join(dist, 'cli/main.js'))) chmodSync(join(dist, 'cli/main.js'), 0o755);
writeFileSync(join(dist, '.built'), '');
console.log(`built ${files.length} files`);
