/**
 * Lays out the result of a benchmark for people: tables of the objects in it, one column each, and the plain values
 * below. Objects that hold nothing but objects get a table to themselves; an object within a column is spread over
 * lines, `syscalls.stock.open`. What is aimed at stands behind the value. Pure.
 */
import type { Aims } from './options';

type Row = readonly string[];
type Values = Readonly<Record<string, unknown>>;

/** Lines of text, each ended by a line feed. */
export function table(result: Values, aims: Aims = {}): string {
  const entries = Object.entries(result);
  const own = entries.flatMap(([, value]) => (isGroups(value) ? [grid(value, aims)] : []));
  const groups = Object.fromEntries(entries.filter(([, value]) => isRecord(value) && !isGroups(value))) as Readonly<Record<string, Values>>;
  const plain = entries.flatMap(([name, value]): Row[] => (isRecord(value) ? [] : [withAim([name, text(value)], aims)]));
  const blocks = [...own, grid(groups, aims), aligned(plain)].filter((lines) => lines.length > 0);
  return blocks.map((lines) => lines.map((line) => `${line}\n`).join('')).join('\n');
}

/** A column for each group, a line for each field. */
function grid(groups: Readonly<Record<string, Values>>, aims: Aims): string[] {
  const columns = Object.entries(groups).map(([name, group]) => ({ name, fields: new Map(spread(group)) }));
  if (columns.length === 0) return [];
  const fields = [...new Set(columns.flatMap((column) => [...column.fields.keys()]))];
  return aligned([['', ...columns.map((column) => column.name)], ...fields.map((field) => withAim([field, ...columns.map((column) => text(column.fields.get(field)))], aims))]);
}

function withAim(row: Row, aims: Aims): Row {
  const aim = aims[row[0] ?? ''];
  return aim === undefined ? row : [...row, `aim ${aim}`];
}

function spread(values: Values, prefix = ''): [name: string, value: unknown][] {
  return Object.entries(values).flatMap(([name, value]): [string, unknown][] => (isRecord(value) ? spread(value, `${prefix}${name}.`) : [[prefix + name, value]]));
}

function isRecord(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isGroups(value: unknown): value is Readonly<Record<string, Values>> {
  return isRecord(value) && Object.keys(value).length > 0 && Object.values(value).every(isRecord);
}

function text(value: unknown): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Names to the left, values to the right of their columns. */
function aligned(rows: readonly Row[]): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ').trimEnd());
}
