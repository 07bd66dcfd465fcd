import onvif from 'onvif';
import nodeOnvif from 'node-onvif';
import { withDeadline, type Clock } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import type { CameraInterface } from './addresses.js';
import { readProbeMatches, type ProbeMatch } from './probe-match.js';

/** One device as one package heard it. */
export interface Heard extends ProbeMatch {
  /** IP address the answer came from. */
  sender: string;
  interface: CameraInterface;
  by: 'onvif' | 'node-onvif';
}

export type Hear = (heard: Heard) => void;

/** A probe by one of the packages on one interface; `hear` gets answers as they come. */
export type Voice = (target: CameraInterface, ms: number, hear: Hear) => Promise<void>;

/**
 * Probes by `onvif`. The package emits `error` for every answer it cannot read, which ends the process when nobody
 * listens, and it does so even after the probe is over: one listener stays for good.
 */
export function onvifVoice(onWrong: (reason: string) => void): Voice {
  if (onvif.Discovery.listenerCount('error') === 0) {
    onvif.Discovery.on('error', (error) => onWrong(errorMessage(error)));
  }
  return (target, ms, hear) =>
    new Promise((resolve) => {
      // The package gives its sender and its text only to `device` listeners, which hear every probe that runs.
      const heardHere = new Map<object, { sender: string; xml: string }>();
      const listen = (device: object, from: { address: string }, xml: string): void => {
        heardHere.set(device, { sender: from.address, xml });
      };
      onvif.Discovery.on('device', listen);
      onvif.Discovery.probe({ device: target.name, timeout: ms, resolve: false }, (_error, devices) => {
        onvif.Discovery.removeListener('device', listen);
        for (const device of devices ?? []) {
          const answer = heardHere.get(device);
          if (answer === undefined) continue;
          for (const match of readProbeMatches(answer.xml)) {
            hear({ ...match, sender: answer.sender, interface: target, by: 'onvif' });
          }
        }
        resolve();
      });
    });
}

/**
 * Probes by `node-onvif`: more types, three repeats. It is a singleton that must not run twice at a time and has no
 * choice of interface; both are mended here through its socket. The raw answers are read as well, since the package
 * drops those it does not understand and does not say from where they came.
 */
export function nodeOnvifVoice(clock: Clock): Voice {
  let turn: Promise<unknown> = Promise.resolve();
  const probe: Voice = async (target, ms, hear) => {
    nodeOnvif._DISCOVERY_WAIT = ms;
    const probing = nodeOnvif.startProbe();
    const socket = nodeOnvif._udp;
    socket?.prependOnceListener('listening', () => socket.setMulticastInterface(target.address));
    // The package takes its own error listener away once it is bound.
    socket?.once('listening', () => socket.on('error', () => undefined));
    socket?.on('message', (message, from) => {
      for (const match of readProbeMatches(message.toString('utf8'))) {
        hear({ ...match, sender: from.address, interface: target, by: 'node-onvif' });
      }
    });
    const late = (): BluelightError => new BluelightError('DISCOVERY_STUCK', 'a discovery probe did not end');
    try {
      await withDeadline(clock, ms + 1_000, probing, late);
    } finally {
      await nodeOnvif.stopProbe();
    }
  };
  return (target, ms, hear) => {
    const mine = turn.then(() => probe(target, ms, hear));
    turn = mine.catch(() => undefined);
    return mine;
  };
}
