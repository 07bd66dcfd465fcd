/** RFC 3339, UTC, milliseconds. By itself, because the media thread needs it and none of the schemas. */
export function toUtc(ms: number): string {
  return new Date(ms).toISOString();
}
