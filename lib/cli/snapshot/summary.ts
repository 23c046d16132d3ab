/**
 * What was built, as lines: a table with a column per role, where the files are, and what they do not hold. Pure.
 */
import path from 'node:path';
import type { SnapshotSummary } from '../../entry/recording/plan';
import type { SnapshotRole } from '../../snapshot/manifest';
import type { Look } from '../terminal';
import { ROLE_WIDTH } from './progress';

export interface BuiltSnapshot {
  readonly role: SnapshotRole;
  readonly snapshot: SnapshotSummary;
}

export interface Line {
  readonly text: string;
  readonly look?: Look;
}

/** Files that are named of each reason to leave some out. */
const FILES = 10;
const COLUMN_GAP = '   ';

const ROWS: readonly (readonly [label: string, value: (snapshot: SnapshotSummary) => string])[] = [
  ['size', ({ bytes }) => size(bytes)],
  ['of it compile caches', ({ cacheBytes }) => size(cacheBytes)],
  ['modules', ({ modules }) => count(modules)],
  ['resolutions', ({ resolutions }) => count(resolutions)],
  ['directory listings', ({ listings }) => count(listings)],
  ['delayed requests', ({ delayed }) => count(delayed)],
];

/** `columns`: characters that fit on a line. */
export function summaryOf(built: readonly BuiltSnapshot[], baseDir: string, columns: number): Line[] {
  return [...table(built), blank(), ...built.map((one) => place(one, baseDir, columns)), ...built.flatMap((one) => leftOut(one, baseDir))];
}

function table(built: readonly BuiltSnapshot[]): Line[] {
  const columns = [['', ...ROWS.map(([label]) => label)], ...built.map(({ role, snapshot }) => [role, ...ROWS.map(([, value]) => value(snapshot))])];
  const widths = columns.map((cells) => Math.max(...cells.map((cell) => cell.length)));
  const aligned = columns.map((cells, index) => cells.map((cell) => (index === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[index] as number))));
  return ['', ...ROWS].map((_, row): Line => ({ text: aligned.map((cells) => cells[row]).join(COLUMN_GAP), look: row === 0 ? 'title' : undefined }));
}

function place({ role, snapshot }: BuiltSnapshot, baseDir: string, columns: number): Line {
  const whole = `${role.padEnd(ROLE_WIDTH)}  ${relative(snapshot.path, baseDir)}`;
  // The first digits tell one digest from another, and a broken line can be read less well.
  return { text: whole.length <= columns ? whole : whole.replace(/([0-9a-f]{12})[0-9a-f]{52}(?=\.snapshot$)/, '$1…') };
}

function leftOut({ role, snapshot: { omitted } }: BuiltSnapshot, baseDir: string): Line[] {
  if (omitted.length === 0) return [];
  const reasons = new Map<string, string[]>();
  for (const { file, reason } of omitted) reasons.set(reason, [...(reasons.get(reason) ?? []), relative(file, baseDir)]);
  const groups = [...reasons].sort(([, a], [, b]) => b.length - a.length);
  return [blank(), { text: `Not in "${role}", and loaded from ${omitted.length === 1 ? 'its file' : 'their files'} as ever:`, look: 'title' }, ...groups.flatMap(group)];
}

function group([reason, files]: readonly [reason: string, files: readonly string[]]): Line[] {
  const named = files.slice(0, FILES).map((file): Line => ({ text: `    ${file}`, look: 'quiet' }));
  const more: Line[] = files.length > FILES ? [{ text: `    and ${count(files.length - FILES)} more`, look: 'quiet' }] : [];
  return [{ text: `  ${count(files.length)} ${files.length === 1 ? 'file' : 'files'}: ${reason}` }, ...named, ...more];
}

function blank(): Line {
  return { text: '' };
}

/** Below the application as it is seen from there; elsewhere whole. */
export function relative(file: string, baseDir: string): string {
  const below = path.relative(baseDir, file);
  return below.startsWith('..') ? file : below;
}

function size(bytes: number): string {
  return bytes < 100_000 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function count(number: number): string {
  return number.toLocaleString('en-US');
}
