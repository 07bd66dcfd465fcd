import { errorCode } from '../../base/errors.js';
import { formatSource, parseSource, type SourceUrl } from '../source.js';
import { failure } from './failure.js';

/**
 * Addresses that a camera names inside a session. Whatever host stands in them, requests go to the host that was
 * configured: cameras behind address translation name their inner address, and a hostile one must not lead us on.
 */

/** The base of relative control addresses: Content-Base, else Content-Location, else the request (RFC 2326 C.1.1). */
export function controlBase(request: string, contentBase?: string, contentLocation?: string): string {
  return contentBase || contentLocation || request;
}

/**
 * The address of a track or of the whole session. Joined as text, as all clients do: many cameras carry the track
 * behind a query (`/cam/realmonitor?channel=1/trackID=0`), which RFC 3986 resolution would cut off.
 */
export function controlAddress(source: SourceUrl, base: string, control: string | undefined): string {
  if (control === undefined || control === '' || control === '*') return pin(source, base);
  if (/^rtspu?:\/\//i.test(control)) return pin(source, control);
  const joined = base.endsWith('/') || control.startsWith('/') ? `${base}${control}` : `${base}/${control}`;
  return pin(source, joined);
}

/** Path and query of `address` at the configured host and port. A base that is a path only is taken as one. */
function pin(source: SourceUrl, address: string): string {
  const absolute = /^rtspu?:\/\//i.test(address) ? address.replace(/^rtspu/i, 'rtsp') : `rtsp://x/${address}`;
  const { path } = readAddress(absolute);
  return formatSource({ ...source, path });
}

/** Where a redirect leads; throws if that is another host. */
export function redirectTarget(source: SourceUrl, location: string | undefined): SourceUrl {
  const target = location === undefined ? undefined : readAddress(location);
  if (target === undefined || target.host.toLowerCase() !== source.host.toLowerCase()) {
    throw failure('invalid', 'the camera wants to send us to another address; this is not followed');
  }
  return target;
}

function readAddress(address: string): SourceUrl {
  try {
    return parseSource(address);
  } catch (error) {
    if (errorCode(error) !== 'INGEST_URI') throw error;
    throw failure('invalid', 'the camera names a stream address that cannot be read');
  }
}
