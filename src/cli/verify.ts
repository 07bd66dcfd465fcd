import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { BluelightError, errorMessage } from '../base/errors.js';
import { signedManifest, type SignedManifest } from '../contract/clip.js';
import { publicKeyFromText } from '../proof/keys.js';
import { verifyClip, type ClipBytes, type Verdict, type VerifyReport } from '../proof/verify.js';
import { action, EXIT } from './context.js';
import { readText } from './input.js';
import { line } from './output.js';
import { progressBar } from './progress.js';

const SAYS: Record<Verdict, string> = {
  authentic: 'AUTHENTIC: untouched, signed by this box, and nothing was left out',
  authentic_completeness_not_proven: 'AUTHENTIC, completeness not proven: untouched and signed by this box',
  tampered: 'TAMPERED: this is not what the box signed',
  cannot_tell: 'CANNOT TELL',
};
const EXIT_OF: Record<Verdict, number> = {
  authentic: EXIT.ok,
  authentic_completeness_not_proven: EXIT.ok,
  tampered: EXIT.checkFailed,
  cannot_tell: EXIT.cannotTell,
};

interface Options {
  manifest?: string;
  anchor?: string;
  key: string[];
  checkpoint: string[];
  camera?: string;
}

export function addVerifyCommand(program: Command): void {
  program
    .command('verify <clip>')
    .description('is a clip whole and untouched? Works offline, on any machine')
    .option('--manifest <file>', 'its signed manifest (default: beside it, .manifest.json)')
    .option('--anchor <file>', 'what came after the manifest (default: beside it, .anchor.json, where there is one)')
    .option(
      '--key <key>',
      'public key of the box: `bluelight status` on it and the console of the center show it; may be given again',
      collect,
      [],
    )
    .option('--checkpoint <file>', 'a signed checkpoint from the center; may be given again', collect, [])
    .option('--camera <id>', 'the camera that it is said to show')
    .action(
      action(async (context, path: string, options: Options) => {
        const manifestPath = options.manifest ?? beside(path, 'manifest');
        const anchor = readAnchor(path, options.anchor);
        for (const key of options.key) checkKey(key);
        const checkpoints = options.checkpoint.map(readCheckpoint);
        const file = openClip(path);
        try {
          const report = await verifyClip({
            file,
            signed: readText(manifestPath, 'the manifest with --manifest'),
            trusted: options.key,
            checkpoints,
            anchor,
            expect: options.camera === undefined ? {} : { camera: options.camera },
            ...(context.json ? {} : { onProgress: progressBar(context.clock, process.stderr) }),
          });
          context.show(report, () => tell(report));
          return EXIT_OF[report.verdict];
        } finally {
          file.close();
        }
      }),
    );
}

function tell({ verdict, manifest, findings }: VerifyReport): void {
  const gaps = findings.filter((finding) => finding.code === 'GAP').length;
  line(`${SAYS[verdict]}${gaps === 0 ? '' : `; the recording has ${gaps === 1 ? 'a gap' : `${gaps} gaps`}`}`);
  if (manifest !== null) {
    const { site, box, camera, cameraName, covers } = manifest;
    line(plain(`  ${cameraName} (${camera}), ${covers.from} to ${covers.to}, recorded by ${box} at ${site}`));
  }
  for (const { code, message, segment, offset } of findings) {
    const where = [
      ...(segment === undefined ? [] : [`segment ${segment}`]),
      ...(offset === undefined ? [] : [`byte ${offset}`]),
    ];
    line(plain(`  ${code}${where.length === 0 ? '' : ` (${where.join(', ')})`}: ${message}`));
  }
}

/** A document may come from anybody: what it says must not move the cursor. */
function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, '');
}

function collect(text: string, before: string[]): string[] {
  return [...before, text];
}

/** A slip in the key must not look like a doubt about the clip. */
function checkKey(key: string): void {
  try {
    publicKeyFromText(key);
  } catch (cause) {
    throw new BluelightError('USAGE', `--key ${key}: ${errorMessage(cause)}`, {
      fix: 'copy the whole key: 43 letters, digits, "-" and "_"',
      cause,
    });
  }
}

function beside(path: string, what: 'manifest' | 'anchor'): string {
  return `${path.replace(/\.(mp4|jpg)$/, '')}.${what}.json`;
}

function readAnchor(clip: string, named: string | undefined): string | undefined {
  if (named === undefined && !existsSync(beside(clip, 'anchor'))) return undefined;
  return readText(named ?? beside(clip, 'anchor'), 'an anchor');
}

function readCheckpoint(path: string): SignedManifest {
  try {
    return signedManifest.parse(JSON.parse(readText(path, 'a checkpoint')));
  } catch (cause) {
    if (cause instanceof BluelightError) throw cause;
    throw new BluelightError('USAGE', `${path} is not a signed checkpoint`, { fix: 'ask the center for it', cause });
  }
}

function openClip(path: string): ClipBytes & { close(): void } {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new BluelightError('USAGE', `there is no file ${path}`, {
      fix: 'name the clip, an .mp4, or the picture, a .jpg',
    });
  }
  const fd = openSync(path, 'r');
  return {
    size: fstatSync(fd).size,
    read(offset, length) {
      const bytes = Buffer.allocUnsafe(length);
      return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
    },
    close: () => closeSync(fd),
  };
}
