import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, cpSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { systemClock, type Clock } from '../../src/base/clock.js';
import { silentLog, type Log } from '../../src/base/log.js';
import type { WebPorts } from '../../src/web/ports.js';
import { createWeb, type Web } from '../../src/web/server.js';

const PAGES = fileURLToPath(new URL('../../src/web/pages', import.meta.url));

/** A self-signed certificate for localhost, made by openssl. */
export function makeCertificate(directory: string): { cert: string; key: string } {
  const key = join(directory, 'key.pem');
  const cert = join(directory, 'cert.pem');
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj'].concat([
      '/CN=localhost',
      '-addext',
      'subjectAltName=DNS:localhost,IP:127.0.0.1',
      '-keyout',
      key,
      '-out',
      cert,
    ]),
    { stdio: 'ignore' },
  );
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

/** The page as it ships: bundled, beside its HTML and CSS. */
export async function buildPages(directory: string): Promise<void> {
  cpSync(PAGES, directory, { recursive: true, filter: (path) => !/\.(ts|json)$/.test(path) });
  await build({
    entryPoints: [join(PAGES, 'main.ts')],
    outdir: directory,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    logLevel: 'error',
  });
}

export interface Running {
  web: Web;
  port: number;
  socket: string;
  directory: string;
  stop(): Promise<void>;
}

export async function startWeb(
  ports: WebPorts,
  options: { pages?: boolean; hosts?: string[]; host?: string; clock?: Clock; log?: Log } = {},
): Promise<Running> {
  const directory = mkdtempSync(join(tmpdir(), 'bluelight-web-'));
  const pages = join(directory, 'pages');
  if (options.pages === true) await buildPages(pages);
  else cpSync(join(PAGES, 'index.html'), join(pages, 'index.html'), { recursive: true });
  const web = createWeb({
    clock: options.clock ?? systemClock(),
    log: options.log ?? silentLog,
    ports,
    tls: makeCertificate(directory),
    listen: { host: options.host ?? '127.0.0.1', port: 0 },
    hosts: options.hosts ?? ['box.example'],
    pages,
  });
  const socket = join(directory, 'agent.sock');
  const port = await web.listen();
  await web.listenSocket(socket);
  return {
    web,
    port,
    socket,
    directory,
    async stop() {
      await web.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  bytes: Buffer;
  json: <T = Record<string, unknown>>() => T;
}

type Where = { port: number } | { socketPath: string };

/** One request; `headers` may say anything, as an attacker's would. */
export function ask(
  where: Where,
  method: string,
  path: string,
  options: { headers?: Record<string, string>; body?: string | object; host?: string } = {},
): Promise<Answer> {
  const body = typeof options.body === 'object' ? JSON.stringify(options.body) : options.body;
  const headers: Record<string, string> = { ...options.headers };
  if (typeof options.body === 'object') headers['content-type'] ??= 'application/json';
  if (body !== undefined) headers['content-length'] = String(Buffer.byteLength(body));
  const common: RequestOptions = { method, path, headers, agent: false, rejectUnauthorized: false };
  return new Promise((resolve, reject) => {
    const outgoing =
      'port' in where
        ? httpsRequest({ ...common, host: options.host ?? '127.0.0.1', port: where.port })
        : httpRequest({ ...common, socketPath: where.socketPath });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(parts);
        const { statusCode, headers } = response;
        resolve({ status: statusCode ?? 0, headers, bytes, json: () => JSON.parse(bytes.toString('utf8')) });
      });
    });
    outgoing.end(body);
  });
}

/** Logs in as a program does. */
export async function bearer(port: number, code: string): Promise<Record<string, string>> {
  const answer = await ask({ port }, 'POST', '/api/v1/login', { body: { code, as: 'token' } });
  return { authorization: `Bearer ${answer.json<{ token: string }>().token}` };
}

export async function until(condition: () => boolean, what: string, ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
