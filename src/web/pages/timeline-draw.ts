import { date, shortTime, time } from './format.js';

export interface Span {
  fromMs: number;
  toMs: number;
}
export interface Gap extends Span {
  reason: string;
}
export interface Mark extends Span {
  id: string;
}

/** What is known of a range of a camera's recording. */
export interface Loaded extends Span {
  spans: Span[];
  gaps: Gap[];
  motion: Mark[];
}

/** Footage that should be there. Before the first recording, and where the ring has gone round, there is just none. */
export function isMissing(gap: Gap): boolean {
  return gap.reason !== 'not_recorded' && gap.reason !== 'overwritten';
}

export interface Drawing {
  view: Span;
  loaded: Loaded | null;
  /** The moment that is played; null while live. */
  head: number | null;
  now: number;
  /** Without axis. */
  mini: boolean;
}

const STEPS_S = [1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];
const AXIS_PX = 26;
/** So wide is a label with the space around it. */
const LABEL_PX = 74;

type Colour = (name: string) => string;

/** Draws at the resolution of the screen, in the colours of the style sheet. */
export function drawTimeline(canvas: HTMLCanvasElement, element: HTMLElement, drawing: Drawing): void {
  const { width, height } = element.getBoundingClientRect();
  const context = canvas.getContext('2d');
  if (width === 0 || context === null) return;
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(height * devicePixelRatio);
  context.scale(devicePixelRatio, devicePixelRatio);
  const style = getComputedStyle(element);
  const colour: Colour = (name) => style.getPropertyValue(name).trim();
  const x = scale(drawing.view, width);
  if (!drawing.mini) {
    context.font = `11px ${style.fontFamily}`;
    drawAxis(context, drawing.view, { width, height, x, colour });
  }
  drawPieces(context, drawing, { width, height, x, colour });
  if (drawing.head !== null) drawHead(context, x(drawing.head), height, colour);
}

interface Frame {
  width: number;
  height: number;
  x: (ms: number) => number;
  colour: Colour;
}

function scale(view: Span, width: number): (ms: number) => number {
  return (ms) => ((ms - view.fromMs) / (view.toMs - view.fromMs)) * width;
}

function drawPieces(context: CanvasRenderingContext2D, drawing: Drawing, { width, height, x, colour }: Frame): void {
  const top = drawing.mini ? 0 : AXIS_PX;
  const tall = drawing.mini ? height : height - AXIS_PX - 8;
  const rect = (piece: Span, from: number, high: number, least: number): void => {
    const left = Math.max(0, x(piece.fromMs));
    const right = Math.min(width, x(piece.toMs));
    if (right >= 0 && left <= width) context.fillRect(left, from, Math.max(least, right - left), high);
  };
  context.save();
  context.beginPath();
  context.roundRect(0, top, width, tall, drawing.mini ? 0 : 8);
  context.clip();
  context.fillStyle = colour('--track');
  context.fillRect(0, top, Math.min(width, x(drawing.now)), tall);
  context.fillStyle = hatch(context, colour('--gap')) ?? colour('--gap');
  for (const gap of drawing.loaded?.gaps ?? []) if (isMissing(gap)) rect(gap, top, tall, 1);
  context.fillStyle = colour('--recorded');
  for (const span of drawing.loaded?.spans ?? []) rect(span, top, tall, 1);
  context.fillStyle = colour('--motion');
  const lane = Math.round(tall * 0.42);
  for (const mark of drawing.loaded?.motion ?? []) rect(mark, top + tall - lane, lane, 2);
  context.restore();
}

function drawAxis(context: CanvasRenderingContext2D, view: Span, { width, height, x, colour }: Frame): void {
  const step = STEPS_S.find((s) => ((s * 1000) / (view.toMs - view.fromMs)) * width >= LABEL_PX) ?? 86_400;
  const zone = new Date(view.fromMs).getTimezoneOffset() * 60;
  const first = Math.ceil((view.fromMs / 1000 - zone) / step) * step + zone;
  context.textAlign = 'center';
  for (let ms = first * 1000; ms < view.toMs; ms += step * 1000) {
    const at = Math.round(x(ms));
    context.fillStyle = colour('--line');
    context.fillRect(at, 20, 1, height - 20);
    context.fillStyle = colour('--muted');
    if (at > 24 && at < width - 24) context.fillText(label(ms, step), at, 14);
  }
}

function label(ms: number, step: number): string {
  if (step < 60) return time(ms);
  const moment = new Date(ms);
  return moment.getHours() === 0 && moment.getMinutes() === 0 ? date(ms) : shortTime(ms);
}

function drawHead(context: CanvasRenderingContext2D, at: number, height: number, colour: Colour): void {
  context.fillStyle = colour('--head');
  context.fillRect(at - 1, 20, 2, height - 20);
  context.beginPath();
  context.arc(at, 22, 5, 0, 2 * Math.PI);
  context.fill();
}

function hatch(context: CanvasRenderingContext2D, colour: string): CanvasPattern | null {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 8;
  const pen = tile.getContext('2d');
  if (pen === null) return null;
  pen.strokeStyle = colour;
  pen.lineWidth = 1.6;
  for (const shift of [-8, 0, 8]) {
    pen.moveTo(shift, 8);
    pen.lineTo(shift + 8, 0);
  }
  pen.stroke();
  return context.createPattern(tile, 'repeat');
}
