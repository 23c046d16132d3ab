/**
 * Where an application's snapshots are kept: files named by their digest, and for each role a pointer to the one that
 * is current. Runs where snapshots are built and used.
 *
 * 1. A pointer never names a file that is not complete: both are written beside and renamed, the file first.
 * 2. Builders that run at once, or are killed half way, leave each other's files alone; the last pointer counts.
 * 3. What no pointer names is removed by a later builder, after a time in which no process can still be about to read it.
 */
import { randomBytes } from 'node:crypto';
import { accessSync, closeSync, constants, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { CartonError, describe } from '../support/errors';
import { damaged, digestOf, open, type Opened } from './format';
import type { SnapshotReference, SnapshotRole, SnapshotSubject } from './manifest';
import { expectOwnDirectory, readSafely, SNAPSHOT_BYTES } from './safe_file';

export const DIRECTORY_VARIABLE = 'EGG_CARTON_SNAPSHOT_DIR';

const ROLES: readonly SnapshotRole[] = ['function', 'host'];
const SUFFIX = '.snapshot';
/** Only what is written here: the directory may be one that others use, too. */
const LEFT_OVER = /^(?:[0-9a-f]{64}\.snapshot|\.(?:[0-9a-f]{64}\.snapshot|(?:function|host)\.json)\.[0-9a-f]+\.tmp)$/;
/** A pointer has 80. */
const POINTER_BYTES = 1024;
/** A process that has read a pointer opens its file at once. */
const KEPT_MS = 10 * 60_000;

/**
 * `.carton/<scope>_<environment>` in the application, as one image serves several environments; or the directory that
 * the variable names, absolute or relative to the application.
 */
export function snapshotDirectory({ baseDir, env, scope }: Pick<SnapshotSubject, 'baseDir' | 'env' | 'scope'>): string {
  const name = [scope, env].filter((part) => part !== '').join('_').replace(/[^\w-]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
  // Processes of one host have several working directories, and an empty variable names none.
  return resolve(baseDir, process.env[DIRECTORY_VARIABLE]?.trim() || join('.carton', name || 'default'));
}

/** The current snapshot of a role. Undefined where none was built. Throws `CARTON_SNAPSHOT_DAMAGED` or `_UNSAFE`. */
export function currentSnapshot(directory: string, role: SnapshotRole): SnapshotReference | undefined {
  const text = readSafely(pointerOf(directory, role), POINTER_BYTES)?.toString();
  if (text === undefined) return undefined;
  const sha256 = /^\{"sha256":"([0-9a-f]{64})"\}\s*$/.exec(text)?.[1];
  if (sha256 === undefined) throw damaged(`${pointerOf(directory, role)} to name a SHA-256`, JSON.stringify(text.slice(0, 100)));
  return { path: join(directory, sha256 + SUFFIX), sha256 };
}

/** Reads a snapshot. Throws `CARTON_SNAPSHOT_DAMAGED`, `_MISMATCH` or `_UNSAFE`. */
export function openSnapshot({ path, sha256 }: SnapshotReference): Opened {
  return open(readSafely(path), sha256);
}

/**
 * Throws `CARTON_SNAPSHOT_NOT_WRITTEN`, or `_UNSAFE` for a directory from which nobody would read; the snapshot that was
 * current stays so then.
 */
export function storeSnapshot(directory: string, role: SnapshotRole, bytes: Buffer): SnapshotReference {
  const sha256 = digestOf(bytes);
  const path = join(directory, sha256 + SUFFIX);
  if (bytes.length > SNAPSHOT_BYTES) throw notWritten(path, `at most ${SNAPSHOT_BYTES} bytes`, String(bytes.length));
  try {
    prepareDirectory(directory);
    replace(path, bytes);
    keepFormer(directory, role);
    replace(pointerOf(directory, role), Buffer.from(`${JSON.stringify({ sha256 })}\n`));
  } catch (cause) {
    throw cause instanceof CartonError ? cause : notWritten(path, `${bytes.length} bytes to be written`, describe(cause), cause);
  }
  removeLeftOvers(directory);
  return { path, sha256 };
}

/** Makes the directory, if need be. Throws `CARTON_SNAPSHOT_NOT_WRITTEN` or `_UNSAFE` where nothing can be stored in it. */
export function prepareDirectory(directory: string): void {
  try {
    // Not for a group to write into, as a umask may have it: it would not be read from then.
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    expectOwnDirectory(directory);
    accessSync(directory, constants.W_OK);
  } catch (cause) {
    throw cause instanceof CartonError ? cause : notWritten(directory, 'a directory that can be written to', describe(cause), cause);
  }
}

function notWritten(of: string, expected: string, got: string, cause?: unknown): CartonError {
  return new CartonError('CARTON_SNAPSHOT_NOT_WRITTEN', { of, expected, got, cause });
}

/** The time in which a snapshot may still be about to be read begins when it ceases to be current. */
function keepFormer(directory: string, role: SnapshotRole): void {
  try {
    const former = currentSnapshot(directory, role);
    if (former !== undefined) utimesSync(former.path, new Date(), new Date());
  } catch {
    // What cannot be read or is gone needs no time.
  }
}

function pointerOf(directory: string, role: SnapshotRole): string {
  return join(directory, `${role}.json`);
}

function replace(path: string, bytes: Buffer): void {
  // Not named by the process alone: builders in two containers may have one directory and the same number.
  const beside = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}.tmp`);
  try {
    const descriptor = openSync(beside, 'wx', 0o644);
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
    try {
      if (Date.now() - statSync(path).mtimeMs > KEPT_MS) rmSync(path, { force: true });
    } catch {
      // Another builder has removed it, or nobody can; what was stored is good either way.
    }
  }
}
