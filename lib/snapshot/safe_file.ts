/**
 * Reads a file that holds code or names one, and refuses one that another user could have written, that is no plain
 * file, or that is larger than its kind can be. Runs where a snapshot is used.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { CartonError, describe } from '../support/errors';

/** Of a snapshot: that of a large application has some 100 MB. All of it is held in memory by whoever reads it. */
export const SNAPSHOT_BYTES = 512 * 1024 * 1024;

const WRITABLE_BY_OTHERS = 0o022;
/** A directory in which only a file's owner may replace it, such as /tmp. */
const STICKY = 0o1000;

/**
 * Undefined where there is none. Throws `CARTON_SNAPSHOT_UNSAFE`, and `CARTON_SNAPSHOT_DAMAGED` for what cannot be read,
 * is no plain file or has more than `limitBytes`.
 */
export function readSafely(path: string, limitBytes = SNAPSHOT_BYTES): Buffer | undefined {
  try {
    expectOwnDirectory(dirname(path));
    // Without O_NONBLOCK the opening of a pipe would wait for a writer.
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return read(descriptor, path, limitBytes);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (error instanceof CartonError) throw error;
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw damaged(`${path} to be readable`, describe(error), error);
  }
}

function read(descriptor: number, path: string, limitBytes: number): Buffer {
  const stats = fstatSync(descriptor);
  expectOwn(path, stats);
  if (!stats.isFile()) throw damaged(`${path} to be a plain file`, 'another kind of file');
  if (stats.size > limitBytes) throw damaged(`${path} to have at most ${limitBytes} bytes`, String(stats.size));
  const bytes = Buffer.allocUnsafeSlow(stats.size);
  let length = 0;
  for (let count = -1; count !== 0 && length < bytes.length; length += count) count = readSync(descriptor, bytes, length, bytes.length - length, null);
  return bytes.subarray(0, length);
}

/** Throws `CARTON_SNAPSHOT_UNSAFE` for a directory in which another user could put something else in a file's place. */
export function expectOwnDirectory(path: string): void {
  expectOwn(path, statSync(path));
}

function expectOwn(path: string, stats: Stats): void {
  const { uid, mode } = stats;
  const own = process.geteuid?.();
  if (own === undefined) return;
  if (uid !== own && uid !== 0) throw unsafe(path, `owner ${uid}`);
  const isSticky = stats.isDirectory() && (mode & STICKY) !== 0;
  if ((mode & WRITABLE_BY_OTHERS) !== 0 && !isSticky) throw unsafe(path, `mode ${(mode & 0o7777).toString(8)}`);
}

function unsafe(of: string, got: string): CartonError {
  return new CartonError('CARTON_SNAPSHOT_UNSAFE', { of, expected: 'this user or root as owner, and nobody else who may write', got });
}

function damaged(expected: string, got: string, cause?: unknown): CartonError {
  return new CartonError('CARTON_SNAPSHOT_DAMAGED', { expected, got, cause });
}
