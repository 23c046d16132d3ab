/**
 * Where an application's snapshots are kept: files named by their digest, and for each role a pointer to the one that
 * is current. Runs where snapshots are built and used.
 *
 * 1. A pointer never names a file that is not complete: both are written beside and renamed, the file first.
 * 2. Builders that run at once, or are killed half way, leave each other's files alone; the last pointer counts.
 * 3. What no pointer names is removed by a later builder, after a time in which no process can still be about to read it.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { CartonError } from '../support/errors';
import { damaged, digestOf, open, type Opened } from './format';
import type { SnapshotReference, SnapshotRole } from './manifest';
import { readSafely } from './safe_file';

export const DIRECTORY_VARIABLE = 'EGG_CARTON_SNAPSHOT_DIR';

const ROLES: readonly SnapshotRole[] = ['function', 'host'];
const SUFFIX = '.snapshot';
const LEFT_OVER = /^(?:[0-9a-f]{64}\.snapshot|\..*\.tmp)$/;
/** A process that has read a pointer opens its file at once. */
const KEPT_MS = 10 * 60_000;

/** `.carton` in the application, unless the environment names another one. */
export function snapshotDirectory(baseDir: string): string {
  return process.env[DIRECTORY_VARIABLE] ?? join(baseDir, '.carton');
}

/** The current snapshot of a role. Undefined where none was built. Throws `CARTON_SNAPSHOT_DAMAGED`. */
export function currentSnapshot(directory: string, role: SnapshotRole): SnapshotReference | undefined {
  let text: string;
  try {
    text = readFileSync(pointerOf(directory, role), 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  const sha256 = /^\{"sha256":"([0-9a-f]{64})"\}\s*$/.exec(text)?.[1];
  if (sha256 === undefined) throw damaged(`${pointerOf(directory, role)} to name a SHA-256`, JSON.stringify(text.slice(0, 100)));
  return { path: join(directory, sha256 + SUFFIX), sha256 };
}

/** Reads a snapshot. Throws `CARTON_SNAPSHOT_DAMAGED`, `_MISMATCH` or `_UNSAFE`. */
export function openSnapshot({ path, sha256 }: SnapshotReference): Opened {
  let bytes: Buffer;
  try {
    bytes = readSafely(path);
  } catch (error) {
    if (error instanceof CartonError) throw error;
    throw damaged('a readable file', (error as Error).message, error);
  }
  return open(bytes, sha256);
}

/** Throws `CARTON_SNAPSHOT_NOT_WRITTEN`; the snapshot that was current stays so then. */
export function storeSnapshot(directory: string, role: SnapshotRole, bytes: Buffer): SnapshotReference {
  const sha256 = digestOf(bytes);
  const path = join(directory, sha256 + SUFFIX);
  try {
    mkdirSync(directory, { recursive: true });
    replace(path, bytes);
    replace(pointerOf(directory, role), Buffer.from(`${JSON.stringify({ sha256 })}\n`));
  } catch (cause) {
    throw new CartonError('CARTON_SNAPSHOT_NOT_WRITTEN', { of: path, expected: `${bytes.length} bytes to be written`, got: (cause as Error).message, cause });
  }
  removeLeftOvers(directory);
  return { path, sha256 };
}

function pointerOf(directory: string, role: SnapshotRole): string {
  return join(directory, `${role}.json`);
}

function replace(path: string, bytes: Buffer): void {
  const beside = `${path.replace(/[^/\\]*$/, (name) => `.${name}`)}.${process.pid}.tmp`;
  try {
    const descriptor = openSync(beside, 'w', 0o644);
    try {
      for (let written = 0; written < bytes.length;) written += writeSync(descriptor, bytes, written);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}

function removeLeftOvers(directory: string): void {
  const current = ROLES.map((role) => {
    try {
      return currentSnapshot(directory, role)?.path;
    } catch {
      // A pointer that cannot be read names nothing.
      return undefined;
    }
  });
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (!LEFT_OVER.test(name) || current.includes(path)) continue;
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats !== undefined && Date.now() - stats.mtimeMs > KEPT_MS) rmSync(path, { force: true });
  }
}
