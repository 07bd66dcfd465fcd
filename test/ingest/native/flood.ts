import { isSlice } from '../../../src/media/nal.js';
import { accessUnitsInFile, elementaryStream } from '../../support/clips.js';
import { FakeCamera } from './camera.js';

/** A camera in a process of its own that sends a hundred times what a camera sends (50 MB/s). Prints its address. */
const [first = []] = accessUnitsInFile(await elementaryStream(), 'h264');
const sets = first.filter((nal) => !isSlice('h264', nal));
const slice = (head: number): Uint8Array => new Uint8Array(1_000_000).fill(0x77).fill(head, 0, 1).fill(0x88, 1, 2);
const units = [[...sets, slice(0x65)], ...Array.from({ length: 9 }, () => [slice(0x41)])];
const camera = await FakeCamera.start({ units, fps: 50 });
process.stdout.write(`${camera.uri}\n`);
