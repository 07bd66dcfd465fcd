import {
  auditBody,
  auditDigestBody,
  auditDigestQuery,
  auditQuery,
  auditVerdictBody,
  auditYearQuery,
} from '../../contract/audit.js';
import type { LocalRole } from '../../contract/http.js';
import { plain } from '../route.js';

const STAFF: readonly LocalRole[] = ['technician', 'owner'];

export const auditRoutes = [
  plain({
    method: 'GET',
    path: '/audit',
    summary: 'Who looked or asked, when, at what, and what was answered; newest first.',
    auth: STAFF,
    query: auditQuery,
    response: { status: 200, type: 'application/json', schema: auditBody },
    handler: async ({ ports }, { query, party }) => ({ entries: await ports.audit.list(query, party) }),
  }),
  plain({
    method: 'GET',
    path: '/audit/digest',
    summary: 'Who looked, in numbers and sentences; of the last seven days if no time is given.',
    auth: STAFF,
    query: auditDigestQuery,
    response: { status: 200, type: 'application/json', schema: auditDigestBody },
    handler: ({ ports }, { query, party }) => ports.audit.digest(query, party),
  }),
  plain({
    method: 'GET',
    path: '/audit/numbers',
    summary: 'The numbers of a calendar year of the site, as ordinances on public oversight ask for them.',
    auth: STAFF,
    query: auditYearQuery,
    response: { status: 200, type: 'application/json', schema: auditDigestBody },
    handler: ({ ports }, { query, party }) => ports.audit.numbers(query.year, party),
  }),
  plain({
    method: 'GET',
    path: '/audit/verify',
    summary: 'Checks the whole log: was any row changed, left out or cut off?',
    auth: STAFF,
    response: { status: 200, type: 'application/json', schema: auditVerdictBody },
    handler: ({ ports }) => ports.audit.verify(),
  }),
  plain({
    method: 'GET',
    path: '/audit/export',
    summary: 'The whole audit log, one row per line, with its signed head: `bluelight audit verify` checks it offline.',
    auth: STAFF,
    response: { status: 200, type: 'application/x-ndjson' },
    handler: ({ ports }, { party }) =>
      new Response(lines(ports.audit.export(party)), {
        headers: {
          'content-type': 'application/x-ndjson',
          'content-disposition': 'attachment; filename="who-looked.ndjson"',
        },
      }),
  }),
];

function lines(source: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await source.next();
      if (next.done === true) controller.close();
      else controller.enqueue(encoder.encode(next.value));
    },
    async cancel() {
      await source.return(undefined);
    },
  });
}
