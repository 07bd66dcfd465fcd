import type { WeeklyHours } from '../../../contract/policy.js';
import { h } from '../dom.js';
import { wrong } from '../forms.js';
import { field } from '../parts.js';
import { t } from '../strings.js';

type Day = WeeklyHours['days'][number];
const DAYS: Day[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const NIGHT: WeeklyHours = { days: DAYS, from: '20:00', to: '06:00' };

export interface HoursForm {
  element: HTMLElement;
  /** The hours as chosen, `[]`: all; or the field that is not right, which is marked. */
  read(): WeeklyHours[] | HTMLElement;
}

/** At all hours, or at those of some days; an end before its beginning is one of the next day. */
export function hoursForm(before: WeeklyHours[]): HoursForm {
  const rows: Row[] = [];
  const list = h('div', { class: 'stack' });
  const which = h(
    'select',
    { name: 'when' },
    h('option', { value: 'always' }, t.choose.always),
    h('option', { value: 'hours', selected: before.length > 0 }, t.choose.hours),
  );
  const add = (hours: WeeklyHours): void => {
    const mine = row(hours, () => {
      rows.splice(rows.indexOf(mine), 1);
      mine.element.remove();
      if (rows.length === 0) which.value = 'always';
      show();
    });
    rows.push(mine);
    list.append(mine.element);
  };
  const more = h('button', { type: 'button', class: 'quiet', onclick: () => add(NIGHT) }, t.choose.addHours);
  const show = (): void => {
    const some = which.value === 'hours';
    if (some && rows.length === 0) add(NIGHT);
    list.hidden = more.hidden = !some;
  };
  before.forEach(add);
  which.addEventListener('change', show);
  show();
  return {
    element: h('div', { class: 'stack' }, field(t.choose.when, which), list, more),
    read() {
      if (which.value === 'always') return [];
      const read = rows.map((one) => one.read());
      return read.find((one) => one instanceof HTMLElement) ?? (read as WeeklyHours[]);
    },
  };
}

interface Row {
  element: HTMLElement;
  read(): WeeklyHours | HTMLElement;
}

function row(hours: WeeklyHours, drop: () => void): Row {
  const days = DAYS.map((day) => ({
    day,
    box: h('input', { type: 'checkbox', name: day, checked: hours.days.includes(day) }),
  }));
  const from = h('input', { type: 'time', name: 'from', value: hours.from });
  // 24:00 is what a clock calls 00:00 of the next day.
  const to = h('input', { type: 'time', name: 'to', value: hours.to === '24:00' ? '00:00' : hours.to });
  const next = h('p', { class: 'muted small' }, t.choose.nextDay);
  const tell = (): void => void (next.hidden = from.value === '' || to.value === '' || to.value > from.value);
  from.addEventListener('input', tell);
  to.addEventListener('input', tell);
  tell();
  const element = h(
    'div',
    { class: 'hours stack' },
    h(
      'div',
      { class: 'days', role: 'group', 'aria-label': t.choose.days },
      ...days.map(({ day, box }) => h('label', {}, box, h('span', {}, t.days[day]))),
    ),
    h('div', { class: 'times' }, field(t.choose.from, from), field(t.choose.to, to)),
    next,
    h('button', { type: 'button', class: 'quiet', onclick: drop }, t.choose.removeHours),
  );
  return {
    element,
    read() {
      const chosen = days.filter(({ box }) => box.checked).map(({ day }) => day);
      if (chosen.length === 0) return wrong(days[0]!.box, t.choose.wrong.days);
      if (from.value === '' || to.value === '') return wrong(from.value === '' ? from : to, t.choose.wrong.time);
      const end = to.value === '00:00' && hours.to === '24:00' ? hours.to : to.value;
      if (from.value === end) return wrong(to, t.choose.wrong.same);
      return { days: chosen, from: from.value, to: end };
    },
  };
}
