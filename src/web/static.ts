import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
};

interface Asset {
  type: string;
  etag: string;
  plain: Uint8Array<ArrayBuffer>;
  gzip: Uint8Array<ArrayBuffer>;
}

export type Assets = ReadonlyMap<string, Asset>;

/**
 * Reads the page once, at the start: later nothing on this thread touches a disk, and no path from outside
 * is ever joined to a directory.
 */
export function loadAssets(directory: string): Assets {
  const assets = new Map<string, Asset>();
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const type = TYPES[extname(entry.name)];
    if (!entry.isFile() || type === undefined) continue;
    const plain = new Uint8Array(readFileSync(join(directory, entry.name)));
    const etag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`;
    assets.set(`/${entry.name}`, { type, etag, plain, gzip: new Uint8Array(gzipSync(plain, { level: 9 })) });
  }
  return assets;
}

/** The answer for a path of the page; null if there is none. `no-cache` means: ask each time, the ETag saves the bytes. */
export function serveAsset(assets: Assets, request: Request): Response | null {
  const path = new URL(request.url).pathname;
  const asset = assets.get(path === '/' ? '/index.html' : path);
  if (asset === undefined) return null;
  const headers: Record<string, string> = {
    'content-type': asset.type,
    'cache-control': 'no-cache',
    etag: asset.etag,
    vary: 'accept-encoding',
  };
  if (request.headers.get('if-none-match') === asset.etag) return new Response(null, { status: 304, headers });
  const zipped =
    /\bgzip\b/.test(request.headers.get('accept-encoding') ?? '') && asset.gzip.length < asset.plain.length;
  if (zipped) headers['content-encoding'] = 'gzip';
  return new Response(request.method === 'HEAD' ? null : zipped ? asset.gzip : asset.plain, { headers });
}
