/**
 * The geometry every part of the detector shares. A frame is 320x180 gray; it is judged in cells of 2x2 pixels,
 * because their mean halves sensor noise at a quarter of the cost, and exposure in blocks of 5x5 cells.
 */
export const FRAME_WIDTH = 320;
export const FRAME_HEIGHT = 180;
export const FRAME_BYTES = FRAME_WIDTH * FRAME_HEIGHT;

const WORDS = FRAME_WIDTH / 4;

export const WIDTH = 160;
export const HEIGHT = 90;
export const CELLS = WIDTH * HEIGHT;

export const BLOCK = 5;
export const BLOCKS_X = WIDTH / BLOCK;
export const BLOCKS_Y = HEIGHT / BLOCK;
export const BLOCKS = BLOCKS_X * BLOCKS_Y;

/** Means of 2x2 pixels, 0..255. */
export function shrink(gray: Uint8Array, cells: Float32Array): void {
  if (gray.byteOffset % 4 !== 0) gray = gray.slice();
  const words = new Uint32Array(gray.buffer, gray.byteOffset, FRAME_BYTES / 4);
  // Four pixels at a time: the bytes of two rows are added in 16-bit lanes (every second byte apart, so none runs over).
  for (let y = 0, c = 0; y < HEIGHT; y++) {
    let p = y * 2 * WORDS;
    for (let x = 0; x < WORDS; x++, c += 2, p++) {
      const upper = words[p]!;
      const lower = words[p + WORDS]!;
      const sum =
        (upper & 0x00ff00ff) + ((upper >>> 8) & 0x00ff00ff) + (lower & 0x00ff00ff) + ((lower >>> 8) & 0x00ff00ff);
      cells[c] = 0.25 * (sum & 0xffff);
      cells[c + 1] = 0.25 * (sum >>> 16);
    }
  }
}

/** Cells of a block that `blockSums` adds up: every second row will do. */
export const BLOCK_SAMPLES = 3 * BLOCK;

/** Sums over the rows 0, 2 and 4 of 5x5 cells. */
export function blockSums(cells: Float32Array, sums: Float32Array): void {
  sums.fill(0);
  for (let y = 0; y < HEIGHT; y += y % BLOCK === 4 ? 1 : 2) {
    const row = ((y / BLOCK) | 0) * BLOCKS_X;
    let c = y * WIDTH;
    for (let bx = 0; bx < BLOCKS_X; bx++, c += BLOCK) {
      sums[row + bx]! += cells[c]! + cells[c + 1]! + cells[c + 2]! + cells[c + 3]! + cells[c + 4]!;
    }
  }
}

/** A rectangle in cells, edges included. */
export interface Box {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}
