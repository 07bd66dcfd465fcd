import type { CameraStream } from '../contract/camera.js';

/** A profile of one video source, as the camera offers it. */
export interface StreamOffer extends CameraStream {
  /** Frames/s as configured; 0 if the camera does not say. */
  fps: number;
}

/** Narrower streams are thumbnails in which nothing can be detected. */
const MIN_SUB_WIDTH = 320;

/**
 * Main = most pixels; sub = fewest pixels that are at least 320 wide, at another address and smaller than the main.
 * The order of profiles says nothing: cameras list them either way. Undefined if nothing is usable.
 */
export function pickStreams(
  offers: readonly StreamOffer[],
): { main: StreamOffer; sub: StreamOffer | null } | undefined {
  const video = offers.filter((offer) => offer.codec !== 'other');
  // A camera that offers only MJPEG and the like is still shown, so that its fault can be named.
  const usable = video.length > 0 ? video : [...offers];
  const main = best(usable, (a, b) => pixels(b) - pixels(a) || b.fps - a.fps);
  if (main === undefined) return undefined;
  const smaller = usable.filter(
    (offer) => offer.uri !== main.uri && offer.width >= MIN_SUB_WIDTH && pixels(offer) < pixels(main),
  );
  const sub = best(smaller, (a, b) => pixels(a) - pixels(b) || codecRank(a) - codecRank(b));
  return { main, sub: sub ?? null };
}

function pixels(offer: StreamOffer): number {
  return offer.width * offer.height;
}

/** Of equals the one that every decoder takes. */
function codecRank(offer: StreamOffer): number {
  return offer.codec === 'h264' ? 0 : 1;
}

function best(
  offers: readonly StreamOffer[],
  order: (a: StreamOffer, b: StreamOffer) => number,
): StreamOffer | undefined {
  return [...offers].sort(order)[0];
}
