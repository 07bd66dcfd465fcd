import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { expect } from 'vitest';

export const PHONE = { width: 390, height: 844 };

/**
 * A phone with an empty page. `complaints` gathers what the page did wrong, as the browser tells it.
 * @param expected answers of the box of which the browser complains by itself
 */
export async function openPhone(
  options: { expected?: RegExp; args?: readonly string[]; context?: BrowserContextOptions; complaints?: string[] } = {},
): Promise<{ browser: Browser; page: Page; complaints: string[] }> {
  const { expected = /status of 4\d\d/, args = [], context = {}, complaints = [] } = options;
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--no-first-run', ...args],
  });
  // Colours are measured as they stay.
  const still = { reducedMotion: 'reduce' } as const;
  const phone = { ignoreHTTPSErrors: true, viewport: PHONE, hasTouch: true, ...still, ...context };
  const page = await (await browser.newContext(phone)).newPage();
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !expected.test(message.text())) complaints.push(message.text());
  });
  return { browser, page, complaints };
}

/** Types the code that stands on the box. */
export async function logIn(page: Page, code: string): Promise<void> {
  await page.fill('input[name=code]', code);
  await page.click('button[type=submit]');
}

/** WCAG 2.2 §1.4.3: 4.5 to 1, or 3 to 1 for large text; of what is really painted behind each text. */
const CONTRAST = `(() => {
  const rgb = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return c.startsWith('color(') ? [m[0]*255, m[1]*255, m[2]*255, m[3] ?? 1] : [m[0], m[1], m[2], m[3] ?? 1]; };
  const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > 0.99) return c; } return [255, 255, 255, 1]; };
  const bad = [];
  for (const e of document.querySelectorAll('main *')) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== '') || e.offsetParent === null) continue;
    const style = getComputedStyle(e), [a, b] = [light(rgb(style.color)), light(behind(e))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) bad.push(e.textContent.slice(0, 40) + ' ' + ratio.toFixed(2));
  }
  return bad;
})()`;

/** What every view has to be at a phone: no sideways scrolling, a name for everything, contrast, room for fingers. */
export async function expectFitsPhone(page: Page): Promise<void> {
  expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBe(0);
  expect(await page.evaluate(CONTRAST)).toEqual([]);
  const nameless = await page.evaluate(
    `[...document.querySelectorAll('main button, main a, main input, main textarea, main select')]
    .filter((e) => !e.getAttribute('aria-label') && e.textContent.trim() === '' && e.closest('label') === null)
    .map((e) => e.outerHTML)`,
  );
  expect(nameless).toEqual([]);
  const small = await page.evaluate(
    `[...document.querySelectorAll('main button, main a.button, main select')].filter((e) => e.offsetParent && e.getBoundingClientRect().height < 44).map((e) => e.textContent)`,
  );
  expect(small).toEqual([]);
}
