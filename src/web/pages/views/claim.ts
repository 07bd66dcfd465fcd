import type { ClaimedBody, ClaimFoundBody, IdentityBody } from '../../../contract/identity.js';
import { ApiError, get, inWords, post, remove } from '../api.js';
import { Cleanup, h } from '../dom.js';
import { actionForm, badge, errorNote, field, note, type Tone } from '../parts.js';
import { t } from '../strings.js';
import type { Sharing } from './access.js';
import { scanner } from './scan.js';

const POLL_MS = 2_000;

/** To which center this box belongs, and for a box that is nobody's the three ways to one. */
export function claimSection(cleanup: Cleanup): HTMLElement {
  const section = h('section', { class: 'card stack', id: 'claim' }, h('h2', {}, t.claim.title));
  let shown = '';
  let parts = new Cleanup();
  cleanup.add(() => parts.run());
  const draw = async (): Promise<void> => {
    const [identity, sharing] = await Promise.all([get<IdentityBody>('/identity'), get<Sharing>('/sharing')]);
    const ended = sharing.enrolment === 'ended';
    // What somebody is typing stays.
    const now = JSON.stringify([identity.claim, ended]);
    if (now === shown) return;
    shown = now;
    parts.run();
    parts = new Cleanup();
    section.replaceChildren(h('h2', {}, t.claim.title), ...content(identity, ended, { draw, cleanup: parts }));
  };
  const again = (): void => {
    draw().catch((error: unknown) => {
      if (shown === '') section.replaceChildren(h('h2', {}, t.claim.title), errorNote(error));
    });
  };
  cleanup.every(POLL_MS, again);
  again();
  return section;
}

interface Forms {
  draw(): Promise<void>;
  /** What has to end with the form that is shown. */
  cleanup: Cleanup;
}

function content(identity: IdentityBody, ended: boolean, forms: Forms): (HTMLElement | string)[] {
  const { claim } = identity;
  const own = h('p', { class: 'muted small' }, t.claim.ownKey, ' ', h('code', {}, identity.fingerprint));
  if (claim.state === 'none') {
    const label = ended ? t.claim.ended : t.claim.none;
    return [
      h('div', {}, badge('idle', label)),
      h('p', {}, ended ? t.claim.endedText : t.claim.noneText),
      ways(forms),
      own,
    ];
  }
  const [tone, label]: [Tone, string] =
    claim.state === 'active' ? ['good', t.claim.by(claim.center ?? '')] : ['warn', t.claim[claim.state]];
  const place = claim.site === null ? null : h('p', {}, t.claim.as(claim.site, claim.box ?? ''));
  const key = identity.centerFingerprint;
  return [
    h('div', {}, badge(tone, label)),
    place,
    claim.state === 'active' ? null : h('p', {}, `${t.claim.goesOn[claim.state]} ${sentence(claim.detail)}`.trim()),
    key === null ? null : fingerprint(t.claim.centerKey(claim.center ?? ''), key),
    claim.state === 'waiting' ? cancel(forms) : null,
    own,
  ].filter((part) => part !== null);
}

function sentence(text: string): string {
  return text === '' ? '' : `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

function fingerprint(label: string, groups: string): HTMLElement {
  return h('div', { class: 'key' }, h('span', { class: 'muted' }, label), h('code', {}, groups));
}

/** An error of a claim; where its fix names the command line or the API, the fix on this page. */
function claimError(error: unknown): HTMLElement {
  const fix = error instanceof ApiError ? t.claim.fix[error.problem.code] : undefined;
  return fix === undefined ? errorNote(error) : note('bad', inWords(error).what, fix);
}

function cancel({ draw }: Forms): HTMLElement {
  const answer = h('div');
  const go = (): void => {
    remove('/claim').then(draw, (error: unknown) => answer.replaceChildren(claimError(error)));
  };
  return h('div', { class: 'stack' }, answer, h('button', { type: 'button', onclick: go }, t.claim.cancel));
}

const WAYS = { file: byFile, qr: byQr, code: byCode };

function ways(forms: Forms): HTMLElement {
  const form = h('div');
  const names = Object.keys(WAYS) as (keyof typeof WAYS)[];
  const buttons = names.map((name) =>
    h('button', { type: 'button', 'aria-pressed': 'false', onclick: () => choose(name) }, t.claim.way[name]),
  );
  let shown = new Cleanup();
  forms.cleanup.add(() => shown.run());
  const choose = (chosen: keyof typeof WAYS): void => {
    shown.run();
    shown = new Cleanup();
    buttons.forEach((button, i) => button.setAttribute('aria-pressed', String(names[i] === chosen)));
    form.replaceChildren(WAYS[chosen]({ ...forms, cleanup: shown }));
  };
  choose('file');
  return h(
    'div',
    { class: 'stack' },
    h('div', { class: 'buttons choice', role: 'group', 'aria-label': t.claim.which }, ...buttons),
    form,
  );
}

const plain = { autocapitalize: 'off', autocomplete: 'off', spellcheck: 'false' };

const look = { busy: t.claim.busy, error: claimError };

function byFile({ draw }: Forms): HTMLElement {
  const text = h('textarea', { ...plain, name: 'claim', rows: 5, required: true, maxlength: 60_000 });
  const file = h('input', { type: 'file', name: 'file', accept: '.json,application/json' });
  file.addEventListener('change', () => {
    const [chosen] = file.files ?? [];
    if (chosen !== undefined) void chosen.text().then((read) => (text.value = read));
  });
  const go = async (): Promise<void> => {
    await post<ClaimedBody>('/claim', readFile(text.value));
    await draw();
  };
  return actionForm(t.claim.submit, go, look, field(t.claim.file, file), field(t.claim.paste, text));
}

function readFile(text: string): object {
  try {
    const read: unknown = JSON.parse(text);
    if (typeof read === 'object' && read !== null) return read;
  } catch {
    // Said below, in words of the page: where the text breaks off helps nobody at a phone.
  }
  throw refusal(t.claim.noFile);
}

/** What a code of the center begins with; what else it has to say the box checks. */
const QR = /^bluelight:claim\?/;

function byQr({ draw, cleanup }: Forms): HTMLElement {
  const text = h('textarea', { ...plain, name: 'qr', rows: 3, required: true, maxlength: 2_000 });
  const go = async (): Promise<void> => {
    await post<ClaimedBody>('/claim/qr', { text: text.value.trim() });
    await draw();
  };
  const form = actionForm(t.claim.submit, go, look, field(t.claim.qr, text, t.claim.qrHint));
  // Whoever scans the center's code wants to claim: it needs no second press.
  const scan = scanner(cleanup, (read) => {
    if (!QR.test(read)) return t.claim.notClaim;
    text.value = read;
    form.requestSubmit();
    return null;
  });
  return h('div', { class: 'stack' }, scan, form);
}

/** A typed code says nothing of the center's key: a person compares it before the code goes anywhere. */
function byCode({ draw }: Forms): HTMLElement {
  const code = h('input', { ...plain, name: 'code', required: true, maxlength: 20, placeholder: 'K7QM-2XTD' });
  const address = h('input', { ...plain, name: 'address', inputmode: 'url', maxlength: 300 });
  const next = h('div');
  for (const input of [code, address]) input.addEventListener('input', () => next.replaceChildren());
  const claim = async (body: { address?: string; fingerprint: string }): Promise<void> => {
    await post<ClaimedBody>('/claim/code', { ...body, code: code.value.trim() });
    await draw();
  };
  const ask = async (): Promise<void> => {
    next.replaceChildren();
    if (!/^[a-z0-9]{8}$/i.test(code.value.replace(/[\s-]/g, ''))) throw refusal(t.claim.noCode);
    const typed = address.value.trim();
    const asked = typed === '' ? {} : { address: typed };
    try {
      next.replaceChildren(compare(await post<ClaimFoundBody>('/claim/look', asked), claim));
    } catch (error) {
      if (error instanceof ApiError && error.problem.code === 'CENTER_UNREACHABLE')
        next.replaceChildren(unseen(asked, claim));
      throw error;
    }
  };
  const form = actionForm(
    t.claim.look,
    ask,
    look,
    field(t.claim.code, code),
    field(t.claim.address, address, t.claim.addressHint),
  );
  return h('div', { class: 'stack' }, form, next);
}

type Claim = (body: { address?: string; fingerprint: string }) => Promise<void>;

function compare(found: ClaimFoundBody, claim: Claim): HTMLElement {
  const stop = (): void => form.replaceChildren(note('warn', t.claim.differs, t.claim.differsFix));
  const form = actionForm(
    t.claim.same,
    () => claim({ address: found.address, fingerprint: found.fingerprint }),
    { ...look, class: 'stack compare' },
    h('p', {}, t.claim.answers(found.center, found.address)),
    fingerprint(t.claim.centerKey(found.center), found.fingerprint),
    h('p', {}, h('strong', {}, t.claim.compare)),
  );
  form.append(h('button', { type: 'button', onclick: stop }, t.claim.different));
  return form;
}

/** Without the center in reach its fingerprint is typed; the box goes on trying, and takes no other key. */
function unseen(asked: { address?: string }, claim: Claim): HTMLElement {
  const typed = h('input', { ...plain, name: 'fingerprint', required: true, maxlength: 100 });
  return actionForm(
    t.claim.later,
    () => claim({ ...asked, fingerprint: typed.value.trim() }),
    look,
    field(t.claim.fingerprint, typed, t.claim.fingerprintHint),
  );
}

function refusal({ what, fix }: { what: string; fix: string }): ApiError {
  return new ApiError({
    type: 'about:blank',
    title: what,
    status: 0,
    code: 'CLAIM_INVALID',
    detail: what,
    fix,
    retryable: false,
  });
}
