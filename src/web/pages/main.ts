import type { SessionBody } from '../../contract/http.js';
import { get, onSessionLost, post, useSession } from './api.js';
import { h, icon, type IconName, type View } from './dom.js';
import { badge, errorNote, recordingState, streamOf } from './parts.js';
import { Store } from './store.js';
import { t } from './strings.js';
import { accessView } from './views/access.js';
import { addView } from './views/add.js';
import { asksBanner } from './views/asks.js';
import { boxView } from './views/box.js';
import { cameraView } from './views/camera.js';
import { chooseView } from './views/choose.js';
import { clipsView } from './views/clips.js';
import { loginView } from './views/login.js';
import { overviewView } from './views/overview.js';

const root = document.getElementById('app')!;
let store: Store | null = null;
let current: View | null = null;
let endBanner: () => void = () => undefined;

const SECTIONS: { hash: string; name: string; icon: IconName }[] = [
  { hash: '#/', name: t.nav.cameras, icon: 'cameras' },
  { hash: '#/clips', name: t.nav.clips, icon: 'clips' },
  { hash: '#/box', name: t.nav.box, icon: 'box' },
  { hash: '#/access', name: t.nav.access, icon: 'access' },
];

/** Views that stand below one of the sections. */
const PARENT: Record<string, string> = { '#/camera': '#/', '#/add': '#/', '#/terms': '#/access' };

function route(from: Store): View {
  const [, section = '', id = '', at = ''] = location.hash.split('/');
  if (section === 'camera') return cameraView(from, id, at === '' ? null : Number(at));
  if (section === 'clips') return clipsView(from);
  if (section === 'box') return boxView(from);
  if (section === 'access') return accessView(from);
  if (section === 'terms') return chooseView(from);
  if (section === 'add') return addView(from);
  return overviewView(from);
}

function showLogin(): void {
  leave();
  current = loginView((session) => void enter(session));
  root.replaceChildren(current.element);
}

function leave(): void {
  current?.destroy();
  current = null;
  endBanner();
  store?.stop();
  store = null;
}

async function enter(session: SessionBody): Promise<void> {
  leave();
  useSession(session);
  const mine = new Store(session);
  store = mine;
  try {
    await mine.start();
  } catch (error) {
    const again = h('button', { type: 'button', onclick: () => void enter(session) }, t.retry);
    root.replaceChildren(h('main', { class: 'center' }, h('div', { class: 'card login' }, errorNote(error), again)));
    return;
  }
  if (store !== mine) return;
  const content = h('div', { id: 'content', tabindex: '-1' });
  const nav = h(
    'nav',
    { 'aria-label': t.nav.label },
    ...SECTIONS.map((section) => h('a', { href: section.hash }, icon(section.icon), h('span', {}, section.name))),
  );
  const asks = asksBanner(mine);
  endBanner = asks.stop;
  root.replaceChildren(topBar(mine, nav), lostBanner(mine), asks.element, content);
  const show = (): void => {
    current?.destroy();
    current = route(mine);
    content.replaceChildren(current.element);
    const section = `#/${location.hash.split('/')[1] ?? ''}`;
    for (const link of nav.querySelectorAll('a')) {
      const here = link.hash === (PARENT[section] ?? section);
      if (here) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    window.scrollTo(0, 0);
  };
  window.onhashchange = show;
  show();
}

function topBar(from: Store, nav: HTMLElement): HTMLElement {
  const overall = h('span', { class: 'overall' });
  const tell = (): void => {
    const states = from.cameras.map((camera) => recordingState(streamOf(from.status, camera.id)));
    const good = states.filter((state) => state.tone === 'good').length;
    const n = states.length;
    if (n === 0) overall.replaceChildren(badge('idle', t.overall.none));
    else if (good === n) overall.replaceChildren(badge('good', t.overall.recording(n)));
    else
      overall.replaceChildren(
        badge(states.some((state) => state.tone === 'bad') ? 'bad' : 'warn', t.overall.some(good, n)),
      );
  };
  from.on('status', tell);
  from.on('cameras', tell);
  tell();
  const out = async (): Promise<void> => {
    await post('/logout').catch(() => undefined);
    showLogin();
  };
  return h(
    'header',
    { class: 'top' },
    h(
      'a',
      { class: 'brand', href: '#/', 'aria-label': t.product },
      h('span', { class: 'lamp', 'aria-hidden': 'true' }),
      h('span', {}, t.product),
    ),
    h('span', { class: 'site' }, from.status?.box.site ?? ''),
    nav,
    h('span', { class: 'spring' }),
    overall,
    h(
      'button',
      { class: 'icon-button', type: 'button', 'aria-label': t.logout, title: t.logout, onclick: () => void out() },
      icon('out'),
    ),
  );
}

function lostBanner(from: Store): HTMLElement {
  const banner = h('p', { class: 'lost', role: 'status', hidden: true }, t.reconnecting);
  from.on('link', (link) => (banner.hidden = link));
  return banner;
}

onSessionLost(showLogin);
get<SessionBody>('/session').then(
  (session) => enter(session),
  () => showLogin(),
);
