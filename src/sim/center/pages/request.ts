import type { ConsoleState, JobView } from '../console-state.js';
import { badge, byId, el, keyed, type Tone } from './dom.js';
import { time } from './format.js';

const form = byId<HTMLFormElement>('request');
const box = byId<HTMLSelectElement>('request-box');
const camera = byId<HTMLSelectElement>('request-camera');
const command = byId<HTMLSelectElement>('request-command');
const operator = byId<HTMLSelectElement>('request-operator');
const result = byId('request-result');
let known: ConsoleState | undefined;

/** Asks a box for something, in the name of an operator; what comes of it stands in the list of requests. */
export function showRequests(state: ConsoleState): void {
  known = state;
  options(
    box,
    state.boxes.map((one) => [`${one.site}/${one.box}`, `${one.site}/${one.box}`]),
  );
  options(
    operator,
    state.operators.map((one) => [`${one.agency}/${one.operator}`, `${one.name} (${one.agency}, ${one.role})`]),
  );
  cameras();
  form.hidden = state.boxes.length === 0;
  keyed(byId('jobs'), state.jobs, (job) => job.job, fillJob, 'li');
  byId('no-jobs').hidden = state.jobs.length > 0;
}

function cameras(): void {
  const chosen = known?.boxes.find((one) => `${one.site}/${one.box}` === box.value);
  options(camera, [
    ['*', 'all cameras'],
    ...(chosen?.cameras ?? []).map((one): [string, string] => [one.id, one.name]),
  ]);
}

/** Keeps what is chosen while the list is filled anew. */
function options(select: HTMLSelectElement, entries: [string, string][]): void {
  const print = JSON.stringify(entries);
  if (select.dataset['print'] === print) return;
  select.dataset['print'] = print;
  const before = select.value;
  select.replaceChildren(
    ...entries.map(([value, label]) => {
      const option = el('option', '', label) as HTMLOptionElement;
      option.value = value;
      return option;
    }),
  );
  if (entries.some(([value]) => value === before)) select.value = before;
}

const TONE: Record<string, Tone> = {
  SUCCEEDED: 'good',
  FAILED: 'bad',
  REJECTED: 'bad',
  TIMED_OUT: 'bad',
  CANCELED: 'warn',
};

function fillJob(item: HTMLElement, job: JobView): void {
  const row = el('div', 'row');
  row.append(
    el('strong', '', job.name),
    badge(job.state, TONE[job.state] ?? 'accent'),
    el(
      'span',
      'sub',
      `${time(job.issuedAt)} · ${job.site}/${job.box} · ${job.operator} (${job.agency}) · ${job.reason}` +
        (job.detail === '' ? '' : ` · ${job.detail}`),
    ),
  );
  item.replaceChildren(row);
}

function body(data: FormData): object {
  const [site, boxName] = box.value.split('/');
  const [agency, name] = operator.value.split('/');
  const minutes = Number(data.get('minutes'));
  const to = Date.now() - Number(data.get('ago')) * 60_000;
  const range = { from: new Date(to - minutes * 60_000).toISOString(), to: new Date(to).toISOString() };
  const chosen = known?.boxes.find((one) => `${one.site}/${one.box}` === box.value);
  const ids = camera.value === '*' ? (chosen?.cameras ?? []).map((one) => one.id) : [camera.value];
  const [verb, rendition] = command.value.split(':');
  const caseNo = String(data.get('case')).trim();
  return {
    site,
    box: boxName,
    name: verb,
    args:
      verb === 'still.request'
        ? { camera: ids[0], at: range.from }
        : verb === 'clip.request'
          ? { cameras: ids, ...range, renditions: [rendition] }
          : { cameras: ids, ...range },
    operator: name,
    agency,
    reason: data.get('reason'),
    priority: data.get('priority'),
    ...(caseNo === '' ? {} : { case: caseNo }),
  };
}

async function send(): Promise<void> {
  const response = await fetch('/api/requests', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body(new FormData(form))),
  });
  const said = (await response.json()) as { job?: string; detail?: string };
  result.textContent = said.job === undefined ? (said.detail ?? 'refused') : `sent as ${said.job}`;
}

box.addEventListener('change', cameras);
form.addEventListener('submit', (event) => {
  event.preventDefault();
  send().catch((error: unknown) => (result.textContent = String(error)));
});
