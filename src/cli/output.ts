/** Rows as aligned columns; headings only on a terminal, so that pipes get plain data. */
export function printTable(rows: Record<string, string | number>[], out: NodeJS.WriteStream = process.stdout): void {
  const columns = Object.keys(rows[0] ?? {});
  const cells = rows.map((row) => columns.map((name) => String(row[name] ?? '')));
  if (out.isTTY || process.env['BLUELIGHT_TABLE_HEAD'] !== undefined)
    cells.unshift(columns.map((name) => name.toUpperCase()));
  const widths = columns.map((_, i) => Math.max(0, ...cells.map((row) => row[i]!.length)));
  for (const row of cells)
    out.write(
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd() + '\n',
    );
}

export function line(text: string): void {
  process.stdout.write(text + '\n');
}
