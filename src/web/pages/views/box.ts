import type { StatusBody } from '../../../contract/http.js';
import { Cleanup, h, type View } from '../dom.js';
import { bitrate, bytes, duration, when } from '../format.js';
import { badge, bar, note, recordingState, toneOf, type Tone } from '../parts.js';
import type { Store } from '../store.js';
import { t } from '../strings.js';
import { claimSection } from './claim.js';

export function boxView(store: Store): View {
  const cleanup = new Cleanup();
  const needs = h('div', { class: 'stack' });
  const body = h('div', { class: 'stack' });
  const draw = (): void => {
    if (store.status === null) return;
    needs.replaceChildren(...problems(store.status));
    body.replaceChildren(...content(store, store.status));
  };
  cleanup.add(store.on('status', draw));
  draw();
  const claim = store.session.role === 'viewer' ? null : claimSection(cleanup);
  const title = h('header', { class: 'title' }, h('h1', {}, t.box.title));
  return {
    element: h('main', {}, title, h('div', { class: 'stack' }, needs, claim, body)),
    destroy: () => cleanup.run(),
  };
}

function problems(status: StatusBody): HTMLElement[] {
  if (status.problems.length === 0) return [note('good', t.box.healthy, t.box.healthyText)];
  return status.problems.map((problem) =>
    note(problem.severity === 'critical' ? 'bad' : 'warn', problem.message, problem.fix),
  );
}

function content(store: Store, status: StatusBody): HTMLElement[] {
  return [
    h('div', { class: 'facts-grid' }, disk(status), center(status), clock(status), queue(status), host(status)),
    streams(store, status),
    h(
      'p',
      { class: 'muted small' },
      `${status.box.site} / ${status.box.box} · ${t.box.version(status.box.agent)} · ${t.box.uptime(duration(status.box.uptime * 1000))}`,
    ),
  ];
}

function card(title: string, ...children: (HTMLElement | string | null)[]): HTMLElement {
  return h(
    'section',
    { class: 'card fact' },
    h('h2', {}, title),
    ...children.map((child) => (typeof child === 'string' ? h('p', { class: 'muted' }, child) : child)),
  );
}

function disk({ disk: d }: StatusBody): HTMLElement {
  const share = d.quota === 0 ? 0 : d.bytes / d.quota;
  return card(
    t.box.disk,
    h('p', { class: 'value' }, d.days === null ? bytes(d.bytes) : t.box.days(d.days)),
    d.days === null ? null : t.box.atRate,
    bar(share, d.state === 'ok' ? 'info' : 'bad', t.box.disk),
    t.box.diskUsed(bytes(d.bytes), bytes(d.quota)),
    d.oldest === null ? null : t.box.oldest(when(Date.parse(d.oldest))),
    d.state === 'ok' ? null : badge('bad', d.state, d.detail),
  );
}

function center({ center: c, now }: StatusBody): HTMLElement {
  const tone: Tone = c.state === 'acknowledged' ? 'good' : c.state === 'unclaimed' ? 'idle' : 'warn';
  const age = c.ackAt === null ? t.box.noAck : t.box.ack(duration(Date.parse(now) - Date.parse(c.ackAt)));
  return card(
    t.box.center,
    badge(tone, t.box.centerState[c.state]),
    c.id,
    c.state === 'unclaimed' ? null : age,
    c.detail === '' ? null : c.detail,
  );
}

function clock({ clock: c, now }: StatusBody): HTMLElement {
  return card(
    t.box.clock,
    h('p', { class: 'value' }, when(Date.parse(now))),
    badge(c.trusted ? 'good' : 'warn', c.trusted ? t.box.clockGood(c.source) : t.box.clockBad(c.source)),
    c.offsetMs === null ? null : t.box.offset(Math.round(c.offsetMs)),
  );
}

function queue({ queue: q }: StatusBody): HTMLElement {
  return card(t.box.queue, h('p', { class: 'value' }, bytes(q.bytes)), t.box.queueText(q.clips, q.outbox));
}

function host({ host: x }: StatusBody): HTMLElement {
  const percent = (name: string, value: number | null): HTMLElement | null =>
    value === null
      ? null
      : h(
          'div',
          { class: 'meter' },
          h('span', {}, name),
          bar(value / 100, value > 90 ? 'warn' : 'info', name),
          h('span', {}, `${Math.round(value)} %`),
        );
  return card(
    t.box.host,
    percent(t.box.cpu, x.cpu),
    percent(t.box.mem, x.mem),
    x.temp === null
      ? null
      : h('div', { class: 'meter' }, h('span', {}, t.box.temp), h('span'), h('span', {}, `${Math.round(x.temp)} °C`)),
  );
}

function streams(store: Store, status: StatusBody): HTMLElement {
  const name = (camera: string): string => store.cameras.find((entry) => entry.id === camera)?.name ?? camera;
  const sorted = [...status.streams].sort(
    (a, b) => name(a.camera).localeCompare(name(b.camera), t.locale, { numeric: true }) || (a.role < b.role ? -1 : 1),
  );
  return h(
    'section',
    { class: 'card' },
    h('h2', {}, t.box.streams),
    h(
      'ul',
      { class: 'streams' },
      ...sorted.map((stream) => {
        const { label, detail } = recordingState(stream);
        const numbers =
          stream.width === 0
            ? ''
            : `${stream.width}×${stream.height} · ${Math.round(stream.fps)} fps · ${bitrate(stream.bitrate)}`;
        return h(
          'li',
          {},
          h('strong', {}, name(stream.camera)),
          h('span', { class: 'muted' }, t.camera.stream[stream.role]),
          h('span', { class: 'muted numbers' }, numbers),
          badge(toneOf(stream.state), label, detail),
        );
      }),
    ),
  );
}
