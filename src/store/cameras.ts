import { camera as cameraSchema, type Camera, type Credentials } from '../contract/camera.js';
import { BluelightError } from '../base/errors.js';
import type { Seal } from './seal.js';
import type { Sql } from './sql.js';

/** Adopted cameras. */
export function camerasTable(sql: Sql) {
  const read = (row: { doc: string }): Camera => cameraSchema.parse(JSON.parse(row.doc));
  return {
    /** In order of adoption. */
    list(): Camera[] {
      return sql
        .all<{ doc: string }>('select doc from cameras where removed_ms is null order by added_ms, id')
        .map(read);
    },
    get(id: string): Camera | null {
      const row = sql.one<{ doc: string }>('select doc from cameras where id = :id and removed_ms is null', { id });
      return row === undefined ? null : read(row);
    },
    /** Adds a camera or replaces what is known of it; an id that was removed comes back with its history. */
    save(camera: Camera): void {
      const doc = cameraSchema.parse(camera);
      sql.run(
        `insert into cameras (id, name, device_id, endpoint_reference, serial, mac, address, doc, added_ms)
         values (:id, :name, :device, :epr, :serial, :mac, :address, :doc, :added)
         on conflict (id) do update set name = excluded.name, device_id = excluded.device_id,
           endpoint_reference = excluded.endpoint_reference, serial = excluded.serial, mac = excluded.mac,
           address = excluded.address, doc = excluded.doc, removed_ms = null`,
        {
          id: doc.id,
          name: doc.name,
          device: doc.device.id,
          epr: doc.device.endpointReference,
          serial: doc.device.serial,
          mac: doc.device.mac,
          address: doc.device.address,
          doc: JSON.stringify(doc),
          added: doc.addedAt,
        },
      );
    },
    /** @throws BluelightError CAMERA_UNKNOWN */
    remove(entry: { id: string; at: number }): void {
      const changed = sql.run('update cameras set removed_ms = :at where id = :id and removed_ms is null', entry);
      if (changed === 0) {
        throw new BluelightError('CAMERA_UNKNOWN', `there is no camera "${entry.id}"`, {
          fix: 'see `bluelight camera list`',
        });
      }
    },
    /** Names of all cameras that ever were, for the audit and old footage. */
    names(): Record<string, string> {
      const rows = sql.all<{ id: string; name: string }>('select id, name from cameras');
      return Object.fromEntries(rows.map((row) => [row.id, row.name]));
    },
  };
}

/** Log-in data of devices, sealed. Named by the caller, e.g. `device:acme-12`. */
export function credentialsTable(sql: Sql, seal: Seal) {
  return {
    /** Null: none stored. @throws BluelightError SEAL_BROKEN */
    get(name: string): Credentials | null {
      const row = sql.one<{ sealed: Buffer }>('select sealed from credentials where name = :name', { name });
      if (row === undefined) return null;
      const secret = JSON.parse(seal.open(`credentials/${name}`, row.sealed)) as Credentials;
      return { username: secret.username, password: secret.password };
    },
    put(entry: { name: string; username: string; password: string; at: number }): void {
      const secret = JSON.stringify({ username: entry.username, password: entry.password });
      sql.run(
        `insert into credentials (name, sealed, set_ms) values (:name, :sealed, :at)
         on conflict (name) do update set sealed = excluded.sealed, set_ms = excluded.set_ms`,
        { name: entry.name, sealed: seal.close(`credentials/${entry.name}`, secret), at: entry.at },
      );
    },
    remove(name: string): void {
      sql.run('delete from credentials where name = :name', { name });
    },
    names(): string[] {
      return sql.all<{ name: string }>('select name from credentials order by name').map((row) => row.name);
    },
  };
}
