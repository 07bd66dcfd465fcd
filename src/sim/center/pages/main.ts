import type { BoxView, ClipView, ConsoleState, EventView } from '../console-state.js';
import { badge, byId, el, facts, keyed, type Tone } from './dom.js';
import { ago, bytes, seconds, time } from './format.js';
import { Player } from './player.js';
import { showRequests } from './request.js';

const player = new Player();
/** The center's clock minus that of this browser, ms. */
let clockOffset = 0;
let last: ConsoleState | undefined;

function show(state: ConsoleState): void {
  last = state;
  clockOffset = state.now - Date.now();
  const online = state.boxes.filter((box) => box.state === 'online').length;
  byId('lamp').dataset['state'] = online > 0 ? 'on' : 'off';
  byId('identity').textContent = `${state.center.id} · key ${state.center.publicKey}`;
  totals([
    ['boxes online', `${online}/${state.boxes.length}`],
    ['events', String(state.eventCount)],
    ['sent twice', String(state.duplicates)],
    ['clips', String(state.clips.filter((clip) => clip.state === 'delivered').length)],
  ]);
  keyed(byId('boxes'), state.boxes, (box) => `${box.site}/${box.box}`, fillBox, 'article');
  keyed(byId('clips'), state.clips, (clip) => clip.clip, fillClip, 'li');
  keyed(byId('events'), merged(state.events), (event) => event.id, fillEvent, 'li');
  byId('no-boxes').hidden = state.boxes.length > 0;
  byId('no-clips').hidden = state.clips.length > 0;
  byId('no-events').hidden = state.events.length > 0;
  showRequests(state);
  player.refresh(state.clips);
}

function totals(entries: [string, string][]): void {
  byId('totals').replaceChildren(
    ...entries.map(([term, value]) => el('div', '', el('dt', '', term), el('dd', '', value))),
  );
}

const BOX_TONE: Record<BoxView['state'], Tone> = {
  online: 'good',
  offline: 'warn',
  maintenance: 'warn',
  lost: 'bad',
  unknown: 'none',
};

function fillBox(card: HTMLElement, box: BoxView): void {
  card.className = 'card';
  const list = el('dl', 'facts');
  const age = el('dd', 'beat');
  facts(list, [
    ['Session', box.session === null ? null : `${box.session} since ${time(box.since ?? 0)}`],
    ['Reason', box.state === 'online' ? null : box.reason],
    ['Host', box.cpu === null ? null : host(box)],
    [
      'Waiting',
      box.queue === null ? null : `${box.queue.clips} clips, ${bytes(box.queue.bytes)}, ${box.queue.outbox} events`,
    ],
    ['Terms', box.policy === null ? null : terms(box.policy)],
    ['Agent', box.agent],
    ['Checkpoint', box.checkpoint === null ? null : checkpoint(box.checkpoint)],
    ['Key', box.key],
    ['Refused key', box.refusedKey],
  ]);
  if (box.heartbeatAgeMs !== null) {
    age.dataset['at'] = String(Date.now() + clockOffset - box.heartbeatAgeMs);
    list.prepend(el('dt', '', 'Heartbeat'), age);
  }
  const cameras = el('ul', 'cameras', ...box.cameras.map(camera));
  const head = el(
    'div',
    'card-head',
    el('strong', '', `${box.site} / ${box.box}`),
    badge(box.state, BOX_TONE[box.state]),
  );
  card.replaceChildren(head, list, ...(box.cameras.length > 0 ? [cameras] : []));
  ages();
}

function terms({ version, signed, enrolment, paused }: NonNullable<BoxView['policy']>): string {
  if (paused) return 'paused by the owner';
  if (version === null) return `none (${enrolment})`;
  return `version ${version}, ${signed ? 'signed' : 'a file of the box'}, ${enrolment}`;
}

function checkpoint({ n, receivedAt, problem }: NonNullable<BoxView['checkpoint']>): string {
  return `no. ${n} at ${time(receivedAt)}${problem === null ? ', each follows the one before' : `: ${problem}`}`;
}

function host(box: BoxView): string {
  const temp = box.temp === null ? '' : `, ${box.temp.toFixed(0)} °C`;
  return `CPU ${box.cpu?.toFixed(0)} %, memory ${box.mem?.toFixed(0)} %, disk ${box.diskUsed?.toFixed(0)} %${temp}`;
}

function camera(view: BoxView['cameras'][number]): HTMLElement {
  const details = [
    view.fps === null ? '' : `${view.fps.toFixed(0)} fps`,
    view.age === null ? '' : `last byte ${view.age.toFixed(1)} s`,
    view.gap === null || view.gap === 0 ? '' : `gap ${view.gap.toFixed(0)} s`,
  ];
  const text = el(
    'span',
    '',
    el('strong', '', view.name),
    ' ',
    el('span', 'muted', details.filter((d) => d !== '').join(' · ')),
  );
  return el('li', '', text, badge(view.state, view.state === 'recording' ? 'good' : 'bad'));
}

function fillClip(item: HTMLElement, clip: ClipView): void {
  const ok = clip.state === 'delivered' && clip.signature === 'valid';
  const word = clip.state === 'delivered' ? (ok ? 'verified' : `not verified: ${clip.detail}`) : clip.state;
  const button = el('button', 'row') as HTMLButtonElement;
  button.type = 'button';
  button.disabled = clip.state !== 'delivered';
  button.append(
    el('strong', '', `${clip.cameraName} · ${time(clip.from)}`),
    badge(word, clip.state === 'delivered' ? (ok ? 'good' : 'bad') : 'accent'),
    el(
      'span',
      'sub',
      `${seconds(clip.from, clip.to)}, ${bytes(clip.bytes)} · ${clip.site}/${clip.box} · ${clip.reason} (${clip.requester})`,
    ),
  );
  button.addEventListener('click', () => player.open(clip));
  item.replaceChildren(button);
}

interface EventRow extends EventView {
  phase: 'start' | 'update' | 'end';
}

/** One row per motion event, in its latest phase. */
function merged(events: EventView[]): EventRow[] {
  const rows = new Map<string, EventRow>();
  for (const event of events) {
    const phase = event.type.split('.').at(-1) as EventRow['phase'];
    const key = event.motionEvent ?? event.id;
    const known = rows.get(key);
    if (known === undefined) rows.set(key, { ...event, id: key, phase });
    else if (phase === 'start') known.time = event.time;
  }
  return [...rows.values()];
}

function fillEvent(item: HTMLElement, event: EventRow): void {
  const row = el('div', 'row');
  const going = event.phase !== 'end';
  row.append(
    el('strong', '', event.camera),
    badge(going ? 'moving' : 'ended', going ? 'accent' : 'none'),
    el('span', 'sub', `${time(event.time)} · ${event.site}/${event.box}`),
  );
  item.replaceChildren(row);
}

/** Ages run on between messages. */
function ages(): void {
  const now = Date.now() + clockOffset;
  for (const node of document.querySelectorAll<HTMLElement>('.beat')) {
    node.textContent = ago(now - Number(node.dataset['at'] ?? now));
  }
}

const stream = new EventSource('/api/stream');
stream.addEventListener('message', (message) => show(JSON.parse(String(message.data)) as ConsoleState));
stream.addEventListener('error', () => {
  byId('lamp').dataset['state'] = 'off';
  byId('identity').textContent =
    last === undefined ? 'waiting for the center' : 'the center does not answer; trying again';
});
setInterval(ages, 1000);
