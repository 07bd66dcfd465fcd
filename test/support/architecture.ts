import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript';

/** Floors from the ground up; a file imports its own room or a lower floor. */
const FLOORS: Record<string, number> = { base: 0, contract: 1, media: 2, proof: 2, settings: 3, store: 3 };
const ROOM_FLOOR = 4;
const ROOT_FLOOR = 5;

export type Sources = Map<string, string>;

/** All TypeScript below `src`, keyed by path relative to it with forward slashes. */
export function readSources(root: string): Sources {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  const paths = entries.filter((e) => e.isFile() && e.name.endsWith('.ts')).map((e) => join(e.parentPath, e.name));
  return new Map(paths.map((path) => [path.slice(root.length + 1).replaceAll('\\', '/'), readFileSync(path, 'utf8')]));
}

function place(path: string): { room: string; floor: number } {
  const [room, rest] = path.split('/');
  if (rest === undefined || room === 'cli') return { room: 'root', floor: ROOT_FLOOR };
  return { room: room!, floor: FLOORS[room!] ?? ROOM_FLOOR };
}

/** One line for each import that goes sideways or up. */
export function importViolations(sources: Sources): string[] {
  const found: string[] = [];
  for (const [path, source] of sources) {
    const here = place(path);
    for (const { fileName } of ts.preProcessFile(source, true, true).importedFiles) {
      if (!fileName.startsWith('.')) continue;
      const target = posix.join(posix.dirname(path), fileName);
      const there = place(target);
      if (there.room === here.room) continue;
      if (there.floor >= here.floor) found.push(`${path} imports ${target}`);
    }
  }
  return found;
}

/** Only the gate makes a grant: a cast to the branded type anywhere else is a door beside it. */
export function grantForgeries(sources: Sources): string[] {
  return [...sources]
    .filter(([path, source]) => !path.startsWith('policy/') && /\bas (unknown as )?Grant\b/.test(source))
    .map(([path]) => path);
}

/** What opens or serves connections. */
const SOCKETS = /^(node:)?(net|tls|http|https|http2|dgram)$|^(ws|mqtt|tus-js-client)$|^@hono\/node-server/;

/**
 * Files that touch sockets, each with what keeps footage in the box: rooms that talk to cameras only, and the doors
 * behind the gate. A new one is a new door and needs to be looked at.
 */
export const SOCKET_FILES: Record<string, string> = {
  'base/first-hop.ts': 'sends packets of one byte that say nothing',
  'base/self-signed.ts': 'fetches a certificate',
  'base/unsent.ts': 'ends connections',
  'cameras/': 'cameras only',
  'ingest/': 'cameras only',
  'center/session.ts': 'MQTT, never media',
  'cli/agent.ts': 'the socket of the agent, from the side of the command line',
  'identity/certificate.ts': 'reads addresses',
  'identity/enrol-http.ts': 'shows the claim and the key of the box',
  'uplinks/': 'the way out: uploads carry the signal of a grant',
  'web/': 'the router asks the gate',
  'sim/': 'virtual cameras and center',
};

/** One line for each file that touches sockets and is not known to. */
export function unknownSockets(sources: Sources): string[] {
  const known = Object.keys(SOCKET_FILES);
  return [...sources].flatMap(([path, source]) =>
    ts
      .preProcessFile(source, true, true)
      .importedFiles.filter(({ fileName }) => SOCKETS.test(fileName))
      .filter(() => !known.some((name) => (name.endsWith('/') ? path.startsWith(name) : path === name)))
      .map(({ fileName }) => `${path} opens ${fileName}`),
  );
}

/** The ring's own reads know no grant: `ring/footage` alone may call them. */
export function ungrantedReads(sources: Sources): string[] {
  return [...sources]
    .filter(
      ([path, source]) =>
        path !== 'ring/footage.ts' && path !== 'ring-thread.ts' && /\bring\s*\??\.\s*(read|readInit)\s*\(/.test(source),
    )
    .map(([path]) => path);
}

/** Mutable state that outlives its owner: `let` at the top level of a module. */
export function moduleState(sources: Sources): string[] {
  return [...sources].flatMap(([path, source]) => {
    if (path.includes('/pages/')) return [];
    const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, false);
    return file.statements
      .filter((s) => ts.isVariableStatement(s) && (s.declarationList.flags & ts.NodeFlags.Let) !== 0)
      .map((s) => `${path}: ${s.getText(file).split('\n')[0]}`);
  });
}
