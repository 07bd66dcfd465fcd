import type { Clock } from '../base/clock.js';
import type { Camera, Credentials } from '../contract/camera.js';

/** Adopted cameras, kept over restarts. */
export interface CameraTable {
  list(): Promise<Camera[]>;
  save(camera: Camera): Promise<void>;
  remove(entry: { id: string; at: number }): Promise<void>;
  /** Names by id of all cameras that ever were. */
  names(): Promise<Record<string, string>>;
}

/** For those who log in to a camera by themselves. */
export interface LoginDeps {
  clock: Clock;
  /** Addresses of cameras that may be given their password readable (Basic). */
  basicLogin?: readonly string[];
}

/**
 * Devices whose last login was refused, each once for every refusal of its present password, kept over restarts: a box
 * that starts again and again must not lock them.
 */
export interface HeldTable {
  load(): Promise<string[]>;
  save(devices: string[]): Promise<void>;
}

/** Sealed at rest. Named `device:{id}`. */
export interface CredentialTable {
  get(name: string): Promise<Credentials | null>;
  put(entry: { name: string; username: string; password: string; at: number }): Promise<void>;
  remove(name: string): Promise<void>;
}
