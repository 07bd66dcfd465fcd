import { readFileSync } from 'node:fs';

interface Package {
  version: string;
}

/** Of this build, from package.json beside `dist`. */
export const VERSION = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as Package)
  .version;
