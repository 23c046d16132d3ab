/**
 * Paths of a snapshot lie under roots, so that the file works after a move to another directory or host: the
 * application, the `node_modules` directories that Node looks into from there, and packages that those link to. A path
 * outside of them is neither recorded nor accepted. Runs where a snapshot is built and where it is used.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, parse, resolve, sep } from 'node:path';
import { CartonError, describe } from '../support/errors';
import { MAX_LEVELS, PACKAGE_NAME } from './manifest_check';
import type { SnapshotRoot, SnapshotSubject } from './manifest';

export type Place = Pick<SnapshotSubject, 'baseDir' | 'framework'>;

const CARTON = resolve(__dirname, '../..');

/** Where a root is, for this application. Throws Node's error where it is not there. */
function pathOf(root: SnapshotRoot, place: Place, known: readonly string[]): string {
  switch (root.kind) {
    case 'application':
      return place.baseDir;
    case 'real-application':
      return realpathSync(place.baseDir);
    case 'framework':
      return packageOf(realpathSync(place.framework)) ?? place.framework;
    case 'carton':
      return CARTON;
    case 'modules':
      return modulesAbove(place.baseDir, root.up);
    case 'real-modules':
      return realpathSync(modulesAbove(place.baseDir, root.up));
    case 'linked':
      return realpathSync(join(known[root.via] as string, root.name));
  }
}

/** The directories that a manifest's roots stand for. Throws `CARTON_SNAPSHOT_MISMATCH` where one is not there. */
export function locateRoots(roots: readonly SnapshotRoot[], place: Place): readonly string[] {
  const paths: string[] = [];
  for (const root of roots) {
    try {
      paths.push(pathOf(root, place, paths));
      expectNoNewLink(root, paths.at(-1) as string, roots);
    } catch (cause) {
      if (cause instanceof CartonError) throw cause;
      throw new CartonError('CARTON_SNAPSHOT_MISMATCH', { of: `root ${JSON.stringify(root)}`, expected: 'a directory', got: describe(cause), cause });
    }
  }
  return paths;
}

/** What was a directory and is a link now would give modules other names than Node does. */
function expectNoNewLink(root: SnapshotRoot, path: string, roots: readonly SnapshotRoot[]): void {
  if (root.kind !== 'application' && root.kind !== 'modules') return;
  const up = root.kind === 'modules' ? root.up : undefined;
  const isKnown = roots.some((other) => (up === undefined ? other.kind === 'real-application' : other.kind === 'real-modules' && other.up === up));
  if (!isKnown && realpathSync.native(path) !== path) {
    throw new CartonError('CARTON_SNAPSHOT_MISMATCH', { of: `root ${JSON.stringify(root)}`, expected: 'a directory', got: `a link to ${realpathSync.native(path)}` });
  }
}

function modulesAbove(directory: string, levels: number): string {
  let at = directory;
  for (let i = 0; i < levels; i += 1) at = dirname(at);
  return join(at, 'node_modules');
}

/** The directory of the package that a path lies in. */
function packageOf(path: string): string | undefined {
  for (let at = path; at !== dirname(at); at = dirname(at)) if (existsSync(join(at, 'package.json'))) return at;
  return undefined;
}

const MODULES = /(?:^|\/)node_modules(?:\/|$)/;

/** Whether a package manager put there what lies at `path` below a root, so that the lockfile speaks for it. */
export function isInstalled(root: SnapshotRoot | undefined, path: string): boolean {
  // `.prisma` and its like are generated there; no lockfile speaks for them.
  if (root?.kind === 'modules' || root?.kind === 'real-modules') return !path.startsWith('.') || path.startsWith('.pnpm/');
  return MODULES.test(path);
}

/** Whether the path below a root is the application's own directory, however it is reached. */
export function isApplicationRoot(root: SnapshotRoot | undefined, path: string): boolean {
  return path === '' && (root?.kind === 'application' || root?.kind === 'real-application');
}

/** Collects the roots that the files of an application lie under, while it is recorded. */
export class RootTable {
  readonly roots: SnapshotRoot[] = [];
  readonly #paths: string[] = [];
  readonly #place: Place;
  /** Packages that were looked at and are not linked from anywhere. */
  readonly #foreign = new Set<string>();

  constructor(place: Place) {
    this.#place = place;
    this.#add({ kind: 'application' });
    if (realpathSync(place.baseDir) !== place.baseDir) this.#add({ kind: 'real-application' });
    const above = parse(place.baseDir).root === place.baseDir ? 0 : place.baseDir.split(sep).length;
    for (let up = 0; up < Math.min(above, MAX_LEVELS); up += 1) {
      const modules = modulesAbove(place.baseDir, up);
      if (!existsSync(modules)) continue;
      this.#add({ kind: 'modules', up });
      if (realpathSync(modules) !== modules) this.#add({ kind: 'real-modules', up });
    }
    for (const root of [{ kind: 'framework' }, { kind: 'carton' }] as const) {
      // One that is installed has a root already, and with it the lockfile to speak for it.
      if (this.#longest(pathOf(root, place, [])) === undefined) this.#add(root);
    }
  }

  /** [root, path below it with `/`], or undefined for a path outside of the application and its dependencies. */
  locate(path: string): readonly [root: number, path: string] | undefined {
    const found = this.#longest(path) ?? this.#linked(path);
    if (found === undefined) return undefined;
    const root = this.#paths[found] as string;
    return [found, path === root ? '' : path.slice(root.length + 1).split(sep).join('/')];
  }

  #add(root: SnapshotRoot): number {
    const path = pathOf(root, this.#place, this.#paths);
    const known = this.#paths.indexOf(path);
    if (known >= 0) return known;
    this.roots.push(root);
    return this.#paths.push(path) - 1;
  }

  #longest(path: string): number | undefined {
    let best: number | undefined;
    this.#paths.forEach((root, index) => {
      if (path !== root && !path.startsWith(root + sep)) return;
      if (best === undefined || root.length > (this.#paths[best] as string).length) best = index;
    });
    return best;
  }

  /** A package outside of all roots that one of the `node_modules` links to: a workspace's, or a store's. */
  #linked(path: string): number | undefined {
    // A package.json without a name, as in a directory of ES modules, makes no package.
    for (let at = packageOf(path); at !== undefined && !this.#foreign.has(at); at = packageOf(dirname(at))) {
      const found = this.#linkTo(at);
      if (found !== undefined) return found;
      this.#foreign.add(at);
    }
    return undefined;
  }

  #linkTo(directory: string): number | undefined {
    const name = nameOf(directory);
    for (const [via, root] of this.roots.entries()) {
      if (name === undefined || root.kind !== 'modules') continue;
      if (realpathOf(join(this.#paths[via] as string, name)) === directory) return this.#add({ kind: 'linked', via, name });
    }
    return undefined;
  }
}

/** Undefined also where its package.json says nothing that Node could read. */
function nameOf(directory: string): string | undefined {
  let name: unknown;
  try {
    ({ name } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { name?: unknown });
  } catch {
    return undefined;
  }
  return typeof name === 'string' && PACKAGE_NAME.test(name) ? name : undefined;
}

function realpathOf(path: string): string | undefined {
  return existsSync(path) ? realpathSync(path) : undefined;
}
