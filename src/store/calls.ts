import type { Api } from '../base/rpc.js';
import type { Tables } from './state-db.js';

/** `cameras.list` and so on: the tables as one flat set of calls. */
export function flatten(tables: Tables): Api {
  const calls: Api = {};
  for (const [table, functions] of Object.entries(tables)) {
    for (const [name, call] of Object.entries(functions as Api)) calls[`${table}.${name}`] = call;
  }
  return calls;
}

type Later<F> = F extends () => infer R
  ? () => Promise<Awaited<R>>
  : F extends (argument: infer P) => infer R
    ? (argument: P) => Promise<Awaited<R>>
    : never;

/** The tables as promises, wherever they live. */
export type TableCalls = { readonly [T in keyof Tables]: { readonly [F in keyof Tables[T]]: Later<Tables[T][F]> } };

/** Makes `calls.cameras.list()` out of `call('cameras.list')`. */
export function tableCalls(call: (name: string, argument: unknown) => Promise<unknown>): TableCalls {
  const table = (name: string): object =>
    new Proxy({}, { get: (_, key) => (argument: unknown) => call(`${name}.${String(key)}`, argument) });
  const known = new Map<string, object>();
  return new Proxy({} as TableCalls, {
    get(_, key) {
      if (typeof key !== 'string' || key === 'then') return undefined;
      const present = known.get(key) ?? table(key);
      known.set(key, present);
      return present;
    },
  });
}
