import type { Cleanup } from '../dom.js';
import { h } from '../dom.js';
import { field, note } from '../parts.js';
import { qrReader, type ReadQr } from '../qr.js';
import { t } from '../strings.js';

const LOOK_MS = 200;

/**
 * Reads a QR code with the camera of this device or out of a photo; what it says goes to `found`, whose words are shown
 * when it is not what was wanted (null: it is).
 */
export function scanner(cleanup: Cleanup, found: (text: string) => string | null): HTMLElement {
  const answer = h('div', { 'aria-live': 'polite' });
  const picture = h('div');
  let running: AbortController | null = null;
  const end = (): void => {
    running?.abort();
    running = null;
    picture.replaceChildren();
    scan.textContent = t.claim.scan;
  };
  const take = (text: string): boolean => {
    const wrong = found(text);
    answer.replaceChildren(wrong === null ? note('good', t.claim.scanned) : note('bad', wrong, t.claim.scanOther));
    if (wrong === null) end();
    return wrong === null;
  };
  const start = async (): Promise<void> => {
    if (running !== null) return end();
    const mine = new AbortController();
    running = mine;
    answer.replaceChildren();
    scan.textContent = t.claim.scanStop;
    try {
      const video = await openCamera(mine.signal);
      picture.replaceChildren(video);
      await look(video, await qrReader(), take, mine.signal);
    } catch (error) {
      if (mine.signal.aborted) return;
      end();
      answer.replaceChildren(
        note('warn', t.claim.noCamera[nameOf(error)] ?? t.claim.noCameraOther, t.claim.noCameraFix),
      );
    }
  };
  const scan = h('button', { type: 'button', class: 'primary', onclick: () => void start() }, t.claim.scan);
  const photo = h('input', { type: 'file', name: 'photo', accept: 'image/*', capture: 'environment' });
  photo.addEventListener('change', () => {
    const [chosen] = photo.files ?? [];
    if (chosen === undefined) return;
    end();
    answer.replaceChildren(note('info', t.claim.reading));
    readPhoto(chosen).then(
      (text) => (text === null ? answer.replaceChildren(note('bad', t.claim.noQr, t.claim.noQrFix)) : take(text)),
      () => answer.replaceChildren(note('bad', t.claim.noPicture, t.claim.noQrFix)),
    );
    photo.value = '';
  });
  cleanup.add(end);
  return h('div', { class: 'stack scan' }, scan, picture, field(t.claim.photo, photo), answer);
}

/** Back camera where there is one. Ended with `signal`. @throws DOMException as getUserMedia does */
async function openCamera(signal: AbortSignal): Promise<HTMLVideoElement> {
  // Absent where the browser does not trust the page, whatever its types say.
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (devices === undefined) throw new DOMException('no camera for pages', 'SecurityError');
  const stream = await devices.getUserMedia({ video: { facingMode: 'environment' }, audio: false });
  const stop = (): void => stream.getTracks().forEach((track) => track.stop());
  if (signal.aborted) stop();
  signal.throwIfAborted();
  signal.addEventListener('abort', stop, { once: true });
  const video = h('video', { muted: true, playsinline: true, 'aria-label': t.claim.viewfinder });
  video.muted = true;
  video.srcObject = stream;
  await video.play();
  return video;
}

async function look(video: HTMLVideoElement, read: ReadQr, take: (text: string) => boolean, signal: AbortSignal) {
  let before = '';
  while (!signal.aborted) {
    const text = await read(video, video.videoWidth, video.videoHeight);
    if (signal.aborted) return;
    // The same wrong code is not complained of five times a second.
    if (text !== null && text !== before && take(text)) return;
    before = text ?? before;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

async function readPhoto(file: File): Promise<string | null> {
  const image = await createImageBitmap(file);
  try {
    return await (
      await qrReader()
    )(image, image.width, image.height);
  } finally {
    image.close();
  }
}

function nameOf(error: unknown): string {
  return error instanceof DOMException ? error.name : '';
}
