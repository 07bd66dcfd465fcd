import type { Sql } from './sql.js';

/** A signed statement to the owner. */
export interface StoredReceipt {
  id: string;
  kind: string;
  /** DSSE. */
  envelope: unknown;
  madeMs: number;
}

type Row = Omit<StoredReceipt, 'envelope'> & { envelope: string };

export function receiptsTable(sql: Sql) {
  const toReceipt = (row: Row): StoredReceipt => ({ ...row, envelope: JSON.parse(row.envelope) as unknown });
  return {
    add(receipt: StoredReceipt): void {
      sql.run('insert into receipts (id, kind, envelope, made_ms) values (:id, :kind, :envelope, :madeMs)', {
        ...receipt,
        envelope: JSON.stringify(receipt.envelope),
      });
    },
    get(id: string): StoredReceipt | null {
      const row = sql.one<Row>('select id, kind, envelope, made_ms as madeMs from receipts where id = :id', { id });
      return row === undefined ? null : toReceipt(row);
    },
    list(): StoredReceipt[] {
      return sql
        .all<Row>('select id, kind, envelope, made_ms as madeMs from receipts order by made_ms desc, id desc')
        .map(toReceipt);
    },
  };
}

/** An operator whom the center enrolled for this box. */
export interface Operator {
  operator: string;
  agency: string;
  name: string;
  role: string;
  sinceMs: number;
  endedMs: number | null;
}

export function operatorsTable(sql: Sql) {
  const columns = 'operator, agency, name, role, since_ms as sinceMs, ended_ms as endedMs';
  return {
    /** Null: unknown, or no longer enrolled. */
    get(ask: { agency: string; operator: string }): Operator | null {
      const where = 'where agency = :agency and operator = :operator and ended_ms is null';
      return sql.one<Operator>(`select ${columns} from operators ${where}`, ask) ?? null;
    },
    list(): Operator[] {
      return sql.all<Operator>(`select ${columns} from operators order by agency, operator`);
    },
    /** The whole roster: whom it does not name is ended. */
    replace(roster: { atMs: number; operators: Pick<Operator, 'operator' | 'agency' | 'name' | 'role'>[] }): void {
      sql.transaction(() => {
        sql.run('update operators set ended_ms = :at where ended_ms is null', { at: roster.atMs });
        for (const one of roster.operators) {
          sql.run(
            `insert into operators (operator, agency, name, role, since_ms)
             values (:operator, :agency, :name, :role, :at)
             on conflict do update set name = excluded.name, role = excluded.role, ended_ms = null`,
            { operator: one.operator, agency: one.agency, name: one.name, role: one.role, at: roster.atMs },
          );
        }
      });
    },
  };
}
