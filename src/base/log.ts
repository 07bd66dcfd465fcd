import { pino, type DestinationStream } from 'pino';

/** Structured log. The first argument is data, the second a sentence; secrets are taken out at the sink. */
export interface Log {
  debug(data: object, message: string): void;
  info(data: object, message: string): void;
  warn(data: object, message: string): void;
  error(data: object, message: string): void;
  child(bindings: object): Log;
}

/**
 * Takes known secret values out of text: as they are, percent-encoded, base64 and JSON-escaped.
 * Keyed on values and not on patterns, because every pattern has missed a form.
 */
export class Redactor {
  #forms = new Set<string>();

  /** Values shorter than 4 characters are not taken: they would blank out ordinary text. */
  add(secret: string): void {
    if (secret.length < 4) return;
    for (const form of [
      secret,
      encodeURIComponent(secret),
      Buffer.from(secret).toString('base64').replace(/=+$/, ''),
      JSON.stringify(secret).slice(1, -1),
    ]) {
      this.#forms.add(form);
    }
  }

  clean(text: string): string {
    let out = text;
    for (const form of this.#forms) out = out.replaceAll(form, '[redacted]');
    return out;
  }
}

export function createLog(options: { level?: string; redactor: Redactor; write?: (line: string) => void }): Log {
  const write = options.write ?? ((line: string): void => void process.stderr.write(line));
  const destination: DestinationStream = { write: (line) => write(options.redactor.clean(line)) };
  return pino({ level: options.level ?? 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};
