import { parentPort, workerData } from 'node:worker_threads';
import { changeBytes, type ByteChanges } from './byte-changes.js';

// One of the threads among which the values are divided: each changes every byte of its own copy.
parentPort!.postMessage(await changeBytes(workerData as ByteChanges, () => Date.now()));
