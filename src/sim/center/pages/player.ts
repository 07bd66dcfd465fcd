import type { ClipView } from '../console-state.js';
import { byId, facts } from './dom.js';
import { bytes, seconds, time } from './format.js';

/** Plays one delivered clip and shows what proves it. */
export class Player {
  #clip: ClipView | undefined;

  constructor() {
    byId('check').addEventListener('click', () => {
      this.#check().catch((error: unknown) => this.#say(`could not be read: ${String(error)}`));
    });
  }

  open(clip: ClipView, play = true): void {
    this.#clip = clip;
    byId('player').hidden = false;
    const file = `/clips/${clip.clip}/video.mp4`;
    const still = clip.picture !== null;
    byId('video').hidden = still;
    byId('picture').hidden = !still;
    if (still) byId<HTMLImageElement>('picture').src = file;
    else byId<HTMLVideoElement>('video').src = file;
    byId<HTMLAnchorElement>('download').href = file;
    byId<HTMLAnchorElement>('download').download = `${clip.clip}.${still ? 'jpg' : 'mp4'}`;
    byId<HTMLAnchorElement>('manifest').href = `/clips/${clip.clip}/manifest.json`;
    byId<HTMLAnchorElement>('manifest').download = `${clip.clip}.manifest.json`;
    byId('player-title').textContent = `${clip.cameraName}, ${time(clip.from)}`;
    facts(byId('player-facts'), [
      ['Covers', `${clip.from} to ${clip.to} (${seconds(clip.from, clip.to)})`],
      ['Size', bytes(clip.bytes)],
      ['SHA-256', clip.sha256],
      ['Manifest', clip.signature === 'valid' ? 'signed by this box' : `not valid: ${clip.detail}`],
      ['Made of footage', madeOf(clip)],
      ['Gaps', clip.gaps === 0 ? 'none' : String(clip.gaps)],
      ['Asked by', `${clip.requester}: ${clip.reason}`],
    ]);
    this.#say('');
    // `hidden` needs the API of the secure context; on plain HTTP from elsewhere there is none.
    byId('check').hidden = !('crypto' in globalThis) || globalThis.crypto.subtle === undefined;
    this.#mark();
    if (!play || still) return;
    byId('player').scrollIntoView({ block: 'nearest', behavior: 'smooth' });
    byId<HTMLVideoElement>('video')
      .play()
      // A browser may refuse to start by itself; the controls are there.
      .catch(() => undefined);
  }

  /** The list was drawn anew. */
  refresh(clips: readonly ClipView[]): void {
    if (this.#clip === undefined) {
      const first = clips.find((clip) => clip.state === 'delivered');
      if (first !== undefined) this.open(first, false);
    } else this.#mark();
  }

  #mark(): void {
    for (const item of byId('clips').children) {
      const open = (item as HTMLElement).dataset['key'] === this.#clip?.clip;
      item.querySelector('button')?.setAttribute('aria-current', String(open));
    }
  }

  async #check(): Promise<void> {
    const clip = this.#clip;
    if (clip === undefined) return;
    this.#say('hashing…');
    const body = await (await fetch(`/clips/${clip.clip}/video.mp4`)).arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', body));
    const hex = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    this.#say(
      hex === clip.sha256
        ? `equal to the manifest (${bytes(body.byteLength)} hashed here)`
        : `NOT equal to the manifest: ${hex}`,
    );
  }

  #say(text: string): void {
    byId('check-result').textContent = text;
  }
}

/** Null: it is the footage itself. */
function madeOf({ picture }: ClipView): string | null {
  if (picture === null) return null;
  return picture.masked ? 'hidden areas painted over' : 'nothing hidden';
}
