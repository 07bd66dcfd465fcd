import { stringify } from 'smol-toml';
import { SETTINGS, type Setting } from './table.js';

export interface Explained {
  key: string;
  default: string;
  consequence: string;
  restart: boolean;
}

export function explainSettings(): Explained[] {
  return (Object.entries(SETTINGS) as [string, Setting][]).map(([key, setting]) => ({
    key,
    default: JSON.stringify(setting.default),
    consequence: setting.consequence,
    restart: setting.restart,
  }));
}

/** The example file: every key at its default with its consequence above it. */
export function exampleFile(): string {
  const lines = ['# bluelight configuration. Every key is shown at its default.'];
  let table = '';
  for (const [key, setting] of Object.entries(SETTINGS) as [string, Setting][]) {
    const [section, name] = key.includes('.') ? [key.split('.')[0]!, key.split('.').slice(1).join('.')] : ['', key];
    if (section !== table) {
      lines.push('', `[${section}]`);
      table = section;
    }
    lines.push(`# ${setting.consequence}`, stringify({ [name]: setting.default }).trim());
  }
  return lines.join('\n') + '\n';
}
