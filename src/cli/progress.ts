import type { Clock } from '../base/clock.js';
import { formatBytes } from '../base/units.js';

/** What is done sooner needs no bar. */
const QUIET_MS = 400;
const REDRAW_MS = 100;
const CELLS = 30;

/**
 * A bar on one line of a terminal for what goes through many bytes, wiped off at the end; nothing where no person
 * looks (`out` is no terminal).
 */
export function progressBar(
  clock: Clock,
  out: { isTTY?: boolean; write(text: string): unknown },
): (doneBytes: number, totalBytes: number) => void {
  if (out.isTTY !== true) return () => undefined;
  const startMono = clock.monotonic();
  let drawnMono = startMono + QUIET_MS - REDRAW_MS;
  let drawn = false;
  return (done, total) => {
    const mono = clock.monotonic();
    if (done >= total) {
      if (drawn) out.write('\r\u001b[K');
      return;
    }
    if (mono - drawnMono < REDRAW_MS) return;
    drawnMono = mono;
    drawn = true;
    const share = done / total;
    const bar = '#'.repeat(Math.round(share * CELLS)).padEnd(CELLS, '-');
    const restS = Math.ceil(((mono - startMono) / share - (mono - startMono)) / 1000);
    out.write(
      `\r[${bar}] ${Math.floor(share * 100)} %  ${formatBytes(done)} of ${formatBytes(total)}, ${restS} s\u001b[K`,
    );
  };
}
