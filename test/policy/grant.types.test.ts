import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Errors that TypeScript finds in each source as if it lay in src/; one program for all, since loading it is slow. */
function compile<K extends string>(sources: Record<K, string>): Record<K, string> {
  const names = Object.keys(sources) as K[];
  const path = (name: string): string => join(root, 'src', `planted-${name}.ts`);
  const texts = new Map(names.map((name) => [path(name), sources[name]]));
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
  host.getSourceFile = (name, ...rest) => {
    const text = texts.get(name);
    return text === undefined ? original(name, ...rest) : ts.createSourceFile(name, text, ts.ScriptTarget.ES2023);
  };
  host.fileExists = (name) => texts.has(name) || ts.sys.fileExists(name);
  const program = ts.createProgram([...texts.keys()], options, host);
  const errors = (name: string): string =>
    program
      .getSemanticDiagnostics(program.getSourceFile(path(name)))
      .map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n'))
      .join('\n');
  return Object.fromEntries(names.map((name) => [name, errors(name)])) as Record<K, string>;
}

const reading = (grant: string): string => `
  import type { Grant } from './contract/grant.js';
  import type { FootagePort } from './web/ports.js';
  export async function leak(footage: FootagePort, given: Grant) {
    void given;
    return footage.segment(${grant}, 'main', 1);
  }`;
const handler = (name: string, body: string): string => `
  import type { Grant } from './contract/grant.js';
  import type { Handlers } from './policy/command-desk.js';
  declare function read(grant: Grant): Promise<Uint8Array>;
  export const handlers: Handlers = { '${name}': async (call) => { ${body} } };`;
const route = (body: string): string => `
  import { plain } from './web/route.js';
  export const planted = plain({
    method: 'GET', path: '/wall', summary: '', auth: 'session', response: { status: 200, type: 'video/mp4' },
    handler: async ({ ports }) => { ${body} return {}; },
  });`;
const socket = (grant: string): string => `
  import type { Socket } from 'node:net';
  import type { Grant } from './contract/grant.js';
  import type { LiveHub } from './ingest/live-hub.js';
  export function wall(live: LiveHub, socket: Socket, given: Grant): void {
    void given;
    live.subscribe(${grant}, 'main', {
      run: (run) => void socket.write(run.init),
      fragment: ({ bytes }) => void socket.write(bytes),
      paused: () => undefined,
    });
  }`;
const topic = `
  import { EVENT_ACCESS, type EventType } from './contract/messages.js';
  import type { GrantKind } from './contract/grant.js';
  type More = EventType | 'bluelight.picture';
  export const access: Record<More, GrantKind | null> = EVENT_ACCESS;`;
const lookalike = `{ id: '1', camera: 'gate', kind: 'clip', range: { fromMs: 0, toMs: 1 }, expiresAtMono: 1, signal: new AbortController().signal }`;

test('what reads footage for the outside without a grant does not compile; with one it does', () => {
  const errors = compile({
    granted: reading('given'),
    lookalike: reading(lookalike),
    nothing: reading('undefined'),
    part: reading(`{ camera: 'gate' }`),
    command: handler('clip.request', 'for (const grant of call.grants) await read(grant);'),
    othercommand: handler('diag.run', 'for (const grant of call.grants) await read(grant);'),
    nogrant: handler('clip.request', 'await read({ camera: call.args.cameras[0] });'),
    unknown: handler('footage.steal', ''),
    route: route(`await ports.footage.parts({ camera: 'gate' }, 'main', { fromMs: 0, toMs: 1 });`),
    routelive: route(`ports.live.subscribe('gate.main', 'main', { run() {}, fragment() {}, paused() {} });`),
    socket: socket(`{ camera: 'gate' }`),
    socketnamed: socket(`'gate.main'`),
    socketgranted: socket('given'),
    topic,
  });
  expect(errors.granted).toBe('');
  expect(errors.lookalike).toMatch(/granted/);
  expect(errors.nothing).toMatch(/not assignable/);
  expect(errors.part).toMatch(/not assignable|missing/);
  // A command that shows footage is written with its grants; another has none to read with.
  expect(errors.command).toBe('');
  expect(errors.othercommand).toMatch(/grants/);
  expect(errors.nogrant).toMatch(/granted|Grant/);
  expect(errors.unknown).toMatch(/footage\.steal/);
  // A route that is not asked of the gate has no grant to read with; a socket gets pictures for a grant alone.
  for (const name of ['route', 'routelive', 'socket', 'socketnamed'] as const) {
    expect(errors[name], name).toMatch(/not assignable|missing/);
  }
  expect(errors.socketgranted).toBe('');
  expect(errors.topic).toMatch(/bluelight\.picture/);
}, 120_000);

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
