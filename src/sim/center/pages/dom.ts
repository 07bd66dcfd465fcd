/** Small helpers. What boxes send is only ever set as text, never parsed as HTML. */

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

export function el(tag: string, className = '', ...children: (Node | string)[]): HTMLElement {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  made.append(...children);
  return made;
}

export type Tone = 'good' | 'warn' | 'bad' | 'accent' | 'none';

export function badge(text: string, tone: Tone): HTMLElement {
  const made = el('span', 'badge', text);
  made.dataset['tone'] = tone;
  return made;
}

/** Terms and their values, in order; null leaves one out. */
export function facts(list: HTMLElement, entries: [string, string | null][]): void {
  list.replaceChildren(
    ...entries.flatMap(([term, value]) => (value === null ? [] : [el('dt', '', term), el('dd', '', value)])),
  );
}

/**
 * Brings the children of `list` in line with `items`, keeping the elements of those that stay: what a person is
 * about to press does not vanish under the finger.
 */
export function keyed<T>(
  list: HTMLElement,
  items: readonly T[],
  key: (item: T) => string,
  fill: (element: HTMLElement, item: T) => void,
  tag: string,
): void {
  const known = new Map(
    [...list.children].map((child) => [(child as HTMLElement).dataset['key'], child as HTMLElement]),
  );
  const wanted = items.map((item) => {
    const element = known.get(key(item)) ?? document.createElement(tag);
    element.dataset['key'] = key(item);
    // Unchanged items are left alone.
    const print = JSON.stringify(item);
    if (element.dataset['print'] !== print) {
      fill(element, item);
      element.dataset['print'] = print;
    }
    return element;
  });
  if (wanted.length !== list.children.length || wanted.some((element, i) => list.children[i] !== element)) {
    list.replaceChildren(...wanted);
  }
}
