/**
 * The geometry every part of the detector shares. A frame is 320x180 gray; it is judged in cells of 2x2 pixels,
 * because their mean halves sensor noise at a quarter of the cost, and exposure in blocks of 5x5 cells.
 */
export const FRAME_WIDTH = 320;
export const FRAME_HEIGHT = 180;
export const FRAME_BYTES = FRAME_WIDTH * FRAME_HEIGHT;

export const WIDTH = 160;
export const HEIGHT = 90;
export const CELLS = WIDTH * HEIGHT;

export const BLOCK = 5;
export const BLOCKS_X = WIDTH / BLOCK;
export const BLOCKS_Y = HEIGHT / BLOCK;
export const BLOCKS = BLOCKS_X * BLOCKS_Y;

/** Means of 2x2 pixels, 0..255. */
export function shrink(gray: Uint8Array, cells: Float32Array): void {
  for (let y = 0, c = 0; y < HEIGHT; y++) {
    let p = y * 2 * FRAME_WIDTH;
    for (let x = 0; x < WIDTH; x++, c++, p += 2) {
      cells[c] = 0.25 * (gray[p]! + gray[p + 1]! + gray[p + FRAME_WIDTH]! + gray[p + FRAME_WIDTH + 1]!);
    }
  }
}

/** Sums over 5x5 cells. */
export function blockSums(cells: Float32Array, sums: Float32Array): void {
  sums.fill(0);
  for (let y = 0, c = 0; y < HEIGHT; y++) {
    const row = ((y / BLOCK) | 0) * BLOCKS_X;
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
