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
