import type { CameraTerms } from '../../../contract/policy.js';
import { url } from '../api.js';
import { h } from '../dom.js';
import { note } from '../parts.js';
import { t } from '../strings.js';

type Masks = CameraTerms['masks'];
type Corner = Masks[number][number];

/** Thousandths of width and height. */
const WHOLE = 1_000;
const SVG = 'http://www.w3.org/2000/svg';

export interface MasksForm {
  element: HTMLElement;
  /** The areas as drawn; one that was begun and has three corners counts. */
  read(): Masks;
}

/** Areas that never leave the box, drawn with the finger on what the camera sees. */
export function masksForm(camera: { id: string; name: string }, before: Masks): MasksForm {
  const areas: Masks = structuredClone(before);
  let corners: Corner[] = [];
  const svg = shape('svg', { viewBox: `0 0 ${WHOLE} ${WHOLE}`, preserveAspectRatio: 'none' });
  const list = h('ul', { class: 'terms' });
  const close = h('button', { type: 'button', class: 'primary', onclick: () => finish() }, t.choose.areaDone);
  const undo = h(
    'button',
    { type: 'button', onclick: () => draw((corners = corners.slice(0, -1))) },
    t.choose.areaUndo,
  );
  const finish = (): void => {
    areas.push(corners);
    draw((corners = []));
  };
  const drop = (i: number) => (): void => {
    areas.splice(i, 1);
    draw(corners);
  };
  const draw = (begun: Corner[]): void => {
    svg.replaceChildren(
      ...areas.map((area) => shape('polygon', { points: pointsOf(area), class: 'hidden-area' })),
      shape('polyline', { points: pointsOf(begun), class: 'begun' }),
      ...begun.map(([x, y]) => shape('ellipse', { cx: x, cy: y, rx: 9, ry: 14, class: 'corner' })),
    );
    close.disabled = begun.length < 3;
    undo.disabled = begun.length === 0;
    list.hidden = areas.length === 0;
    list.replaceChildren(
      ...areas.map(
        (_, i) =>
        h('li', {}, h('span', {}, t.choose.area(i + 1)), h('span', { class: 'spring' }), h('button', { type: 'button', onclick: drop(i) }, t.choose.areaRemove)), // prettier-ignore
      ),
    );
  };
  const canvas = h('div', { class: 'masks', role: 'img', 'aria-label': t.choose.drawOn(camera.name) });
  canvas.addEventListener('click', (event) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    corners = [...corners, [share(event.clientX - left, width), share(event.clientY - top, height)]];
    draw(corners);
  });
  const failed = h('div');
  // What is hidden is hidden in the main stream: the substream may show another part of the scene.
  const image = h('img', {
    src: url(`/cameras/${camera.id}/snapshot.jpg`, { role: 'main' }),
    alt: '',
    loading: 'lazy',
  });
  image.addEventListener('error', () => failed.replaceChildren(note('warn', t.choose.noPicture)));
  canvas.append(image, svg);
  draw(corners);
  return {
    element: h(
      'div',
      { class: 'stack' },
      h('h3', {}, t.choose.masks),
      h('p', { class: 'muted' }, t.choose.masksText),
      canvas,
      failed,
      h('div', { class: 'buttons' }, close, undo),
      list,
    ),
    read: () => (corners.length < 3 ? areas : [...areas, corners]),
  };
}

function share(at: number, size: number): number {
  return Math.min(WHOLE, Math.max(0, Math.round((at / size) * WHOLE)));
}

function pointsOf(corners: readonly Corner[]): string {
  return corners.map(([x, y]) => `${x},${y}`).join(' ');
}

function shape(name: string, attributes: Record<string, string | number>): SVGElement {
  const element = document.createElementNS(SVG, name) as SVGElement;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}
