import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Errors that TypeScript finds in a source as if it lay in src/. */
function compile(source: string): string[] {
  const file = join(root, 'src', 'planted.ts');
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ['lib.es2023.d.ts'],
    types: ['node'],
    skipLibCheck: true,
  };
  const host = ts.createCompilerHost(options);
  const original = host.getSourceFile.bind(host);
  host.getSourceFile = (name, ...rest) =>
    name === file ? ts.createSourceFile(name, source, ts.ScriptTarget.ES2023) : original(name, ...rest);
  host.fileExists = (name) => name === file || ts.sys.fileExists(name);
  const program = ts.createProgram([file], options, host);
  const planted = program.getSourceFile(file);
  return ts.getPreEmitDiagnostics(program, planted).map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n'));
}

const reading = (grant: string): string => `
  import type { Grant } from './contract/grant.js';
  import type { FootagePort } from './web/ports.js';
  export async function leak(footage: FootagePort, given: Grant) {
    void given;
    return footage.segment(${grant}, 'main', 1);
  }`;

test('a line that reads footage for the outside without a grant does not compile; with one it does', () => {
  expect(compile(reading('given'))).toEqual([]);
  const lookalike = `{ id: '1', camera: 'gate', kind: 'clip', range: { fromMs: 0, toMs: 1 }, expiresAtMono: 1, signal: new AbortController().signal }`;
  expect(compile(reading(lookalike)).join()).toMatch(/granted/);
  expect(compile(reading('undefined')).join()).toMatch(/not assignable/);
  expect(compile(reading(`{ camera: 'gate' }`)).join()).toMatch(/not assignable|missing/);
});

const handler = (name: string, body: string): string => `
  import type { Grant } from './contract/grant.js';
  import type { Handlers } from './policy/command-desk.js';
  declare function read(grant: Grant): Promise<Uint8Array>;
  export const handlers: Handlers = { '${name}': async (call) => { ${body} } };`;

test('a command that shows footage is written with its grants; another has none to read with', () => {
  expect(compile(handler('clip.request', 'for (const grant of call.grants) await read(grant);'))).toEqual([]);
  expect(compile(handler('diag.run', 'for (const grant of call.grants) await read(grant);')).join()).toMatch(/grants/);
  expect(compile(handler('clip.request', `await read({ camera: call.args.cameras[0] });`)).join()).toMatch(
    /granted|Grant/,
  );
  expect(compile(handler('footage.steal', '')).join()).toMatch(/footage\.steal/);
});

/** Places outside the gate where a value is declared to be a grant. */
export function forgeries(files: { path: string; text: string }[]): string[] {
  const forged = /\bas\s+(?:unknown\s+as\s+)?Grant\b|<Grant>\s*[({]/;
  return files.filter((f) => !f.path.startsWith('policy/') && forged.test(f.text)).map((f) => f.path);
}

test('only the gate makes grants', () => {
  const src = join(root, 'src');
  const files = (readdirSync(src, { recursive: true }) as string[])
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path, text: readFileSync(join(src, path), 'utf8') }));
  expect(forgeries(files)).toEqual([]);
  expect(forgeries([{ path: 'web/x.ts', text: 'read({ camera } as unknown as Grant)' }])).toEqual(['web/x.ts']);
});
