/**
 * Reads a file that holds code, and refuses one that another user could have written. Runs where a snapshot is used.
 */
import { closeSync, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { CartonError } from '../support/errors';

const WRITABLE_BY_OTHERS = 0o022;
/** A directory in which only a file's owner may replace it, such as /tmp. */
const STICKY = 0o1000;

/** Throws `CARTON_SNAPSHOT_UNSAFE`, and Node's error where the file cannot be read. */
export function readSafely(path: string): Buffer {
  expectOwn(dirname(path), statSync(dirname(path)));
  const descriptor = openSync(path, 'r');
  try {
    const stats = fstatSync(descriptor);
    expectOwn(path, stats);
    const bytes = Buffer.allocUnsafeSlow(stats.size);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) read = readSync(descriptor, bytes, length, bytes.length - length, null);
    return bytes.subarray(0, length);
  } finally {
    closeSync(descriptor);
  }
}

function expectOwn(path: string, { uid, mode }: Stats): void {
  const own = process.geteuid?.();
  if (own === undefined) return;
  if (uid !== own && uid !== 0) throw unsafe(path, `owner ${uid}`);
  if ((mode & WRITABLE_BY_OTHERS) !== 0 && (mode & STICKY) === 0) throw unsafe(path, `mode ${(mode & 0o7777).toString(8)}`);
}

function unsafe(of: string, got: string): CartonError {
  return new CartonError('CARTON_SNAPSHOT_UNSAFE', { of, expected: 'this user or root as owner, and nobody else who may write', got });
}
