/**
 * What the application's own directories held when a snapshot of it was recorded. Those that a package manager made have
 * no stamp: the lockfile, which is part of the key, speaks for them. Runs where a snapshot is recorded, and where one is
 * to be used.
 */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';

/** Names in an application's root that come and go while it runs. */
const PASSING = /^(?:\..*|logs|run|node_modules)$/;
const DIGITS = 16;

/** Digest of the names in a directory. Undefined where there is none. */
export function namesDigest(directory: string, isApplication: boolean): string | undefined {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  const kept = isApplication ? names.filter((name) => !PASSING.test(name)) : names;
  return createHash('sha256').update(kept.sort().join('\0')).digest('hex').slice(0, DIGITS);
}
