/**
 * The key of a snapshot: everything besides the application's own files that decides what a loading answers. Runs where
 * a snapshot is built, and where one is to be used.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join, relative, sep } from 'node:path';
import { cachedDataVersionTag } from 'node:v8';
import { CartonError } from '../support/errors';
import { SNAPSHOT_FORMAT, type SnapshotKey, type SnapshotSubject } from './manifest';

/** Node's flags that change which file a request stands for, or what a file is. */
const RESOLUTION_FLAG = /^(?:--preserve-symlinks(?:-main)?|-C|--conditions|--experimental-(?:default-type|specifier-resolution|strip-types|transform-types|detect-module|require-module|addon-modules)|--no-experimental-(?:strip-types|detect-module|require-module))(?:=|$)/;
/** Flags that may be followed by their value as an argument of its own. */
const FLAG_WITH_VALUE = /^(?:-C|--conditions)$/;

/** Beside the application or above it. */
const LOCKFILES = ['package-lock.json', 'npm-shrinkwrap.json', 'pnpm-lock.yaml', 'yarn.lock', 'bun.lock', 'bun.lockb'];
/** In `node_modules`: what the package manager says that it installed. */
const INSTALLED = ['.package-lock.json', '.pnpm/lock.yaml', '.yarn-integrity', '.yarn-state.yml'];

/** What belongs to the running process, and not to an application. */
export type ProcessKey = Pick<SnapshotKey, 'format' | 'carton' | 'node' | 'v8' | 'platform' | 'flags' | 'typescript'>;

export function processKey(): ProcessKey {
  return {
    format: SNAPSHOT_FORMAT,
    carton: ownVersion(),
    node: process.version,
    v8: cachedDataVersionTag(),
    platform: `${process.platform}-${process.arch}`,
    flags: [...resolutionFlags(nodeFlags()), ...(process.env['NODE_PATH'] ?? '').split(delimiter).filter((path) => path !== '')],
    typescript: process.env['EGG_TYPESCRIPT'] ?? '',
  };
}

/** `of` is the key of the processes that are to use the snapshot, where they are started with other flags. */
export function keyOf(subject: SnapshotSubject, of = processKey()): SnapshotKey {
  return {
    ...of,
    role: subject.role,
    env: subject.env,
    scope: subject.scope,
    framework: relative(subject.baseDir, subject.framework).split(sep).join('/'),
    plugins: JSON.stringify([process.env['EGG_PLUGINS'] ?? '', subject.plugins ?? null]),
    lockfile: lockfileHash(subject.baseDir),
  };
}

/** Throws `CARTON_SNAPSHOT_MISMATCH`, which names the first of `wanted` that differs in `got`. */
export function expectKey(wanted: Partial<SnapshotKey>, got: SnapshotKey): void {
  for (const name of Object.keys(wanted) as (keyof SnapshotKey)[]) {
    const [expected, found] = [JSON.stringify(wanted[name]), JSON.stringify(got[name])];
    if (expected !== found) throw new CartonError('CARTON_SNAPSHOT_MISMATCH', { of: `key "${name}"`, expected, got: found });
  }
}

/** This process's flags of Node, from NODE_OPTIONS and from its command line. */
export function nodeFlags(): string[] {
  return [...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/), ...process.execArgv];
}

function resolutionFlags(flags: readonly string[]): string[] {
  return flags.filter((flag, index) => RESOLUTION_FLAG.test(flag) || FLAG_WITH_VALUE.test(flags[index - 1] ?? ''));
}

function lockfileHash(baseDir: string): string {
  const hash = createHash('sha256');
  let found = 0;
  for (let at = baseDir, level = 0; ; at = dirname(at), level += 1) {
    for (const name of [...LOCKFILES, ...INSTALLED.map((installed) => `node_modules/${installed}`)]) {
      const file = join(at, name);
      if (!existsSync(file)) continue;
      found += 1;
      hash.update(`${level}/${name}\0`).update(createHash('sha256').update(readFileSync(file)).digest());
    }
    if (at === dirname(at)) return found === 0 ? '' : hash.digest('hex');
  }
}

function ownVersion(): string {
  return (JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { version: string }).version;
}
