type Child = Node | string | null | undefined | false;
type Value = string | number | boolean | null | undefined | ((event: never) => void);

/** Builds elements. Text only ever becomes text nodes: nothing that a camera or a person named is read as HTML. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  apply(element, props);
  element.append(
    ...children.filter((child): child is Node | string => child instanceof Node || typeof child === 'string'),
  );
  return element;
}

function apply(element: Element, props: Record<string, Value>): void {
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === 'function') element.addEventListener(name.replace(/^on/, ''), value as EventListener);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
}

/** Outlines on a 24 by 24 grid. */
const ICONS = {
  cameras:
    'M3 7.5A1.5 1.5 0 0 1 4.5 6h9A1.5 1.5 0 0 1 15 7.5v9a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 3 16.5zM15 10.5l6-3v9l-6-3',
  clips: 'M4 5h16v14H4zM8 5v14M16 5v14M4 9.5h4M4 14.5h4M16 9.5h4M16 14.5h4',
  box: 'M5 4h14a1 1 0 0 1 1 1v5H4V5a1 1 0 0 1 1-1zM4 14h16v5a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1zM7.5 7h.01M7.5 17h.01M4 10v4M20 10v4',
  access: 'M12 3l7 3v5c0 4.6-3 8.3-7 10-4-1.700-7-5.400-7-10V6zM9 12l2.200 2.200L15.500 10',
  back: 'M15 5l-7 7 7 7',
  play: 'M7 4.500v15l12-7.500z',
  pause: 'M8 5v14M16 5v14',
  back10: 'M11 7L6 12l5 5M18 7l-5 5 5 5',
  forward10: 'M13 7l5 5-5 5M6 7l5 5-5 5',
  full: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  save: 'M12 4v11M7.500 11l4.500 4.500L16.500 11M4 19.500h16',
  plus: 'M12 5v14M5 12h14',
  out: 'M14 4h5a1 1 0 0 1 1 1v14a1 1 0 0 1-1 1h-5M10 16l-4-4 4-4M6 12h9',
  left: 'M14 7l-5 5 5 5',
  right: 'M10 7l5 5-5 5',
  warn: 'M12 4L2.500 20h19zM12 10v4.500M12 17.300h.01',
  check: 'M5 12.500l4.500 4.500L19 7.500',
  search: 'M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM15.500 15.500L20 20',
  eye: 'M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z',
} as const;
export type IconName = keyof typeof ICONS;

export function icon(name: IconName): SVGElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  for (const [key, value] of Object.entries({ viewBox: '0 0 24 24', class: 'icon', 'aria-hidden': 'true' })) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

export function iconButton(name: IconName, label: string, onclick: () => void): HTMLButtonElement {
  return h('button', { class: 'icon-button', type: 'button', 'aria-label': label, title: label, onclick }, icon(name));
}

/** What a view hands to the page: its element, and how to end everything it started. */
export interface View {
  element: HTMLElement;
  destroy(): void;
}

/** Collects what has to be undone. */
export class Cleanup {
  #undo: (() => void)[] = [];

  add(undo: () => void): void {
    this.#undo.push(undo);
  }

  every(ms: number, run: () => void): void {
    const timer = setInterval(run, ms);
    this.add(() => clearInterval(timer));
  }

  listen(target: EventTarget, type: string, run: () => void): void {
    target.addEventListener(type, run);
    this.add(() => target.removeEventListener(type, run));
  }

  run(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo();
  }
}
