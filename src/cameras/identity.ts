import type { Camera, Device } from '../contract/camera.js';
import type { DeviceInfo } from './driver.js';
import { referenceKey } from './discovery.js';

/** What is known of a device when it is to be recognised. */
export interface DeviceTraits extends DeviceInfo {
  endpointReference: string;
}

/**
 * Which adopted device this is, if any: by EndpointReference, then by hardware address, then by make, model and serial
 * together. Each counts only if it is unique among the adopted: cameras with equal serials and equal fake MACs are
 * sold by the thousand, and an IP address says nothing.
 */
export function recognise(traits: DeviceTraits, adopted: readonly Device[]): Device | undefined {
  const only = (found: Device[]): Device | undefined => {
    const ids = new Set(found.map((one) => one.id));
    return ids.size === 1 ? found[0] : undefined;
  };
  if (traits.endpointReference !== '') {
    const key = referenceKey(traits.endpointReference);
    const known = adopted.filter((one) => one.endpointReference !== '');
    const found = only(known.filter((one) => referenceKey(one.endpointReference) === key));
    if (found !== undefined) return found;
  }
  // Two references that differ are two devices, whatever else is equal.
  const others = adopted.filter((one) => one.endpointReference === '' || traits.endpointReference === '');
  const byMac = traits.mac === '' ? undefined : only(others.filter((one) => one.mac === traits.mac));
  if (byMac !== undefined) return byMac;
  if (traits.serial === '') return undefined;
  return only(
    others.filter(
      (one) =>
        one.serial === traits.serial &&
        one.model === traits.model &&
        one.make === traits.make &&
        one.mac === traits.mac,
    ),
  );
}

/** Devices of the adopted cameras, each once. */
export function devicesOf(cameras: readonly Camera[]): Device[] {
  return [...new Map(cameras.map((camera) => [camera.device.id, camera.device])).values()];
}

/** The next free camera number; ids of removed cameras are never given again, as their footage still bears them. */
export function nextNumber(everUsed: readonly string[]): number {
  const numbers = everUsed.map((id) => Number(/^cam-(\d+)$/.exec(id)?.[1] ?? 0));
  return Math.max(0, ...numbers) + 1;
}

export function cameraIdOf(number: number): string {
  return `cam-${String(number)}`;
}

/** A device is called after its first camera: `dev-7`. */
export function deviceIdOf(number: number): string {
  return `dev-${String(number)}`;
}
