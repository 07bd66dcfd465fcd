import type { IssuedReceiptBody } from '../../../contract/owner.js';
import { post } from '../api.js';
import { h } from '../dom.js';
import { when } from '../format.js';
import { badge, errorNote, field, type Tone } from '../parts.js';
import { t } from '../strings.js';
import type { AccessPage } from './access.js';

const MINUTE_MS = 60_000;
/** Null: until it is resumed by hand. */
const CHOICES: { name: string; until: (nowMs: number) => number | null }[] = [
  { name: t.pause.minutes(15), until: (now) => now + 15 * MINUTE_MS },
  { name: t.pause.hours(1), until: (now) => now + 60 * MINUTE_MS },
  { name: t.pause.hours(8), until: (now) => now + 480 * MINUTE_MS },
  { name: t.pause.tomorrow, until: tomorrowMorning },
  { name: t.pause.open, until: () => null },
];

/** Is anything shared now, and the switch for it. */
export function pauseSection(page: AccessPage): HTMLElement {
  const { sharing } = page;
  const answer = h('div');
  const act = (run: () => Promise<unknown>) => (): void => {
    run().then(page.changed, (error: unknown) => answer.replaceChildren(errorNote(error)));
  };
  const { tone, label, text } = words(page);
  return h(
    'section',
    { class: 'card stack', id: 'sharing' },
    h('h2', {}, t.pause.title),
    h('div', {}, badge(tone, label)),
    h('p', {}, text),
    sharing.paused ? resume(page, act) : sharing.enrolment === 'active' ? pause(page, act) : null,
    answer,
  );
}

type Act = (run: () => Promise<unknown>) => () => void;

function pause(page: AccessPage, act: Act): HTMLElement {
  const length = h('select', { name: 'pause' }, ...CHOICES.map(({ name }, i) => h('option', { value: i }, name)));
  const reason = h('input', { name: 'reason', maxlength: 200, placeholder: t.pause.reasonPlaceholder });
  const stop = act(() => {
    const untilMs = CHOICES[Number(length.value)]!.until(page.store.now());
    const until = untilMs === null ? null : new Date(untilMs).toISOString();
    return post<IssuedReceiptBody>('/pause', { until, reason: reason.value.trim() });
  });
  return h(
    'div',
    { class: 'stack' },
    field(t.pause.length, length),
    field(t.pause.reason, reason),
    h('button', { class: 'primary', type: 'button', onclick: stop }, t.pause.stop),
  );
}

function resume(page: AccessPage, act: Act): HTMLElement {
  if (!page.mayDecide) return h('p', { class: 'muted' }, t.pause.onlyOwner);
  const go = act(() => post('/resume', {}));
  return h('button', { class: 'primary', type: 'button', onclick: go }, t.pause.resume);
}

function words({ sharing, claimed }: AccessPage): { tone: Tone; label: string; text: string } {
  if (sharing.paused) {
    const until = sharing.until === null ? t.pause.untilResumed : t.pause.until(when(Date.parse(sharing.until)));
    return { tone: 'warn', label: t.pause.paused, text: `${until} ${t.pause.goesOn}` };
  }
  if (sharing.enrolment === 'active') return { tone: 'good', label: t.pause.on, text: t.pause.onText };
  // Claimed anew he is no longer gone: he has not consented yet.
  if (sharing.enrolment === 'ended' && !claimed) return { tone: 'idle', label: t.pause.left, text: t.pause.leftText };
  return { tone: 'idle', label: t.pause.none, text: t.pause.noneText };
}

function tomorrowMorning(nowMs: number): number {
  const day = new Date(nowMs);
  day.setDate(day.getDate() + 1);
  return day.setHours(8, 0, 0, 0);
}
