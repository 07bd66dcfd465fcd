import { Cleanup, h, icon, type View } from '../dom.js';
import { empty, note } from '../parts.js';
import type { Store } from '../store.js';
import { t } from '../strings.js';
import { cameraTile } from '../tile.js';

/** All cameras live, and above them what needs attention. */
export function overviewView(store: Store): View {
  const cleanup = new Cleanup();
  const problems = h('section', { class: 'problems', 'aria-label': t.cameras.problems });
  const grid = h('div', { class: 'grid' });
  const mayAdd = store.session.role !== 'viewer';
  const add = (): HTMLElement => h('a', { class: 'button', href: '#/add' }, icon('plus'), t.cameras.add);
  const element = h(
    'main',
    {},
    h('header', { class: 'title' }, h('h1', {}, t.cameras.title), mayAdd ? add() : null),
    problems,
    grid,
  );
  let tiles: View[] = [];
  const drop = (): void => {
    for (const tile of tiles) tile.destroy();
    tiles = [];
  };
  const fill = (): void => {
    drop();
    if (store.cameras.length === 0) {
      const find = h('a', { class: 'button primary', href: '#/add' }, icon('search'), t.cameras.find);
      grid.replaceChildren(empty(t.cameras.emptyTitle, t.cameras.empty, ...(mayAdd ? [find] : [])));
      return;
    }
    tiles = store.cameras.map((camera) => cameraTile(store, camera));
    grid.replaceChildren(...tiles.map((tile) => tile.element));
    grid.dataset['count'] = String(store.cameras.length);
  };
  let told = '';
  const tell = (): void => {
    const list = store.status?.problems ?? [];
    // Only when something changed: a screen reader would read it again.
    const key = list.map((problem) => problem.code + problem.message).join('\n');
    if (key === told) return;
    told = key;
    problems.replaceChildren(
      ...list.map((problem) => note(problem.severity === 'critical' ? 'bad' : 'warn', problem.message, problem.fix)),
    );
  };
  cleanup.add(drop);
  cleanup.add(store.on('cameras', fill));
  cleanup.add(store.on('status', tell));
  fill();
  tell();
  return { element, destroy: () => cleanup.run() };
}
