import { backupBody } from '../../contract/owner.js';
import { plain } from '../route.js';

export const backupRoutes = [
  plain({
    method: 'POST',
    path: '/backup',
    summary:
      'The whole state of the box (cameras, sealed passwords, keys, terms, log) as a file, sealed with a passphrase.',
    auth: ['owner'],
    body: backupBody,
    response: { status: 200, type: 'application/octet-stream' },
    async handler({ ports }, { body, party }) {
      const file = await ports.backup.make(body.passphrase, party);
      return new Response(Buffer.from(file), {
        headers: {
          'content-type': 'application/octet-stream',
          'content-length': String(file.length),
          'content-disposition': 'attachment; filename="bluelight.backup"',
        },
      });
    },
  }),
];
