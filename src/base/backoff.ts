export interface BackoffShape {
  firstMs: number;
  factor: number;
  maxMs: number;
}

/** The wait before attempt `attempt` (0 = first retry), spread over 50..100 % so that a fleet does not return in step. */
export function backoffMs(attempt: number, shape: BackoffShape, random: () => number = Math.random): number {
  const full = Math.min(shape.maxMs, shape.firstMs * shape.factor ** attempt);
  return Math.round(full * (0.5 + random() * 0.5));
}
