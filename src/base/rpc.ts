import type { MessagePort, Transferable, Worker } from 'node:worker_threads';
import { BluelightError, fromErrorData, toErrorData, type ErrorData } from './errors.js';
import { withDeadline, type Clock } from './clock.js';

/** Both ends of a thread boundary: `Worker` and `parentPort` look alike to us. */
export type Port = Pick<MessagePort | Worker, 'postMessage'> & {
  on(event: 'message', listener: (message: unknown) => void): unknown;
};

// Method syntax of function types is needed: handlers are called with their own argument type.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Api = Record<string, (argument: any) => unknown>;

type Request = { call: number; name: string; argument: unknown };
type Reply = { reply: number; result?: unknown; error?: ErrorData };
type Note = { note: string; value: unknown };

/** Promise-shaped view of the functions that the other thread serves. */
export type Remote<A> = {
  [K in keyof A]: A[K] extends (argument: infer P) => infer R ? (argument: P) => Promise<Awaited<R>> : never;
};

/**
 * Answers calls. Buffers of an argument are moved to the other thread, not copied. So are `Uint8Array` results that own
 * their whole buffer, or lie in one that came with the call.
 */
export function serve<A extends object>(port: Port, api: A): void {
  const table = api as unknown as Api;
  port.on('message', (message) => {
    const request = message as Partial<Request>;
    if (request.call === undefined || request.name === undefined) return;
    void answer(port, table, request as Request);
  });
}

async function answer(port: Port, api: Api, request: Request): Promise<void> {
  const reply: Reply = { reply: request.call };
  let transfer: Transferable[] = [];
  try {
    const handler = api[request.name];
    if (handler === undefined) throw new BluelightError('INTERNAL', `no such call: ${request.name}`);
    reply.result = await handler(request.argument);
    transfer = movable(reply.result, buffersOf(request.argument));
  } catch (error) {
    reply.error = toErrorData(error);
  }
  port.postMessage(reply, transfer);
}

function movable(value: unknown, lent: readonly ArrayBuffer[]): Transferable[] {
  if (!(value instanceof Uint8Array) || !(value.buffer instanceof ArrayBuffer)) return [];
  const whole = value.byteLength === value.buffer.byteLength && value.byteLength > 0;
  return whole || lent.includes(value.buffer) ? [value.buffer] : [];
}

function buffersOf(argument: unknown): ArrayBuffer[] {
  if (typeof argument !== 'object' || argument === null) return [];
  return Object.values(argument).filter((value) => value instanceof ArrayBuffer);
}

/**
 * Calls into another thread. Each call has a deadline (THREAD_SLOW): a thread that hangs on a dead disk
 * must never hang its caller. Notes are one-way messages without an answer.
 */
export function connect<A extends object>(
  port: Port,
  clock: Clock,
  options: { name: string; deadlineMs: number; onNote?: (name: string, value: unknown) => void },
): {
  api: Remote<A>;
  note: (name: string, value: unknown, transfer?: Transferable[]) => void;
  fail: (error: Error) => void;
} {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let next = 1;
  let dead: Error | undefined;
  port.on('message', (message) => {
    const reply = message as Partial<Reply & Note>;
    if (reply.note !== undefined) return options.onNote?.(reply.note, reply.value);
    if (reply.reply === undefined) return;
    const caller = waiting.get(reply.reply);
    waiting.delete(reply.reply);
    if (reply.error === undefined) caller?.resolve(reply.result);
    else caller?.reject(fromErrorData(reply.error));
  });
  const call = (name: string, argument: unknown): Promise<unknown> => {
    if (dead !== undefined) return Promise.reject(dead);
    const id = next++;
    const work = new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }));
    port.postMessage({ call: id, name, argument } satisfies Request, buffersOf(argument));
    return withDeadline(clock, options.deadlineMs, work, () => {
      waiting.delete(id);
      return new BluelightError(
        'THREAD_SLOW',
        `${options.name} did not answer ${name} within ${options.deadlineMs} ms`,
        {
          retryable: true,
          fix: 'look at the disk: `bluelight status` names it',
        },
      );
    });
  };
  const api = new Proxy({} as Remote<A>, {
    get: (_, name) =>
      typeof name === 'string' && name !== 'then' ? (argument: unknown) => call(name, argument) : undefined,
  });
  return {
    api,
    note: (name, value, transfer = []) => port.postMessage({ note: name, value } satisfies Note, transfer),
    fail(error) {
      dead = error;
      for (const caller of waiting.values()) caller.reject(error);
      waiting.clear();
    },
  };
}

/** Takes one-way notes on the serving side. */
export function onNotes(port: Port, take: (name: string, value: unknown) => void): void {
  port.on('message', (message) => {
    const note = message as Partial<Note>;
    if (note.note !== undefined) take(note.note, note.value);
  });
}
