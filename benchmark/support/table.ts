/**
 * Lays out the result of a benchmark for people: a table of the objects in it, one column each, and the plain values
 * below. Pure.
 */

type Row = readonly string[];

/** Lines of text, each ended by a line feed. */
export function table(result: Readonly<Record<string, unknown>>): string {
  const groups = Object.entries(result).filter((entry): entry is [string, Record<string, unknown>] => isRecord(entry[1]));
  const plain = Object.entries(result).filter(([, value]) => !isRecord(value));
  const fields = [...new Set(groups.flatMap(([, group]) => Object.keys(group)))];
  const grid = groups.length === 0 ? [] : [['', ...groups.map(([name]) => name)], ...fields.map((field) => [field, ...groups.map(([, group]) => text(group[field]))])];
  return [...aligned(grid), ...(groups.length === 0 ? [] : ['']), ...aligned(plain.map(([name, value]) => [name, text(value)]))].map((line) => `${line}\n`).join('');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Names to the left, values to the right of their columns. */
function aligned(rows: readonly Row[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ').trimEnd());
}
