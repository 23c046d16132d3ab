/**
 * Paths of a snapshot lie under roots, so that the file works after a move to another directory or host: the
 * application, the `node_modules` directories that Node looks into from there, and packages that those link to. A path
 * outside of them is neither recorded nor accepted. Runs where a snapshot is built and where it is used.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, parse, resolve, sep } from 'node:path';
import { CartonError } from '../support/errors';
import type { SnapshotRoot, SnapshotSubject } from './manifest';

export type Place = Pick<SnapshotSubject, 'baseDir' | 'framework'>;

/** Levels above an application that `node_modules` is looked for in. */
const MAX_LEVELS = 32;
/** Roots of one snapshot: a workspace with every package linked is far below. */
const MAX_ROOTS = 1024;

const PACKAGE_NAME = /^(?:@[\w.~-]+\/)?[\w.~-]+$/;
const CARTON = resolve(__dirname, '../..');

/** Where a root is, for this application. Throws `CARTON_SNAPSHOT_DAMAGED`. */
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
      if (Number.isInteger(root.up) && root.up >= 0 && root.up <= MAX_LEVELS) return modulesAbove(place.baseDir, root.up);
      break;
    case 'linked': {
      const via = known[root.via];
      if (via !== undefined && PACKAGE_NAME.test(root.name) && !root.name.includes('..')) return realpathSync(join(via, root.name));
    }
  }
  throw new CartonError('CARTON_SNAPSHOT_DAMAGED', { expected: 'a root within the application and its dependencies', got: JSON.stringify(root) });
}

/** The directories that a manifest's roots stand for. Throws `CARTON_SNAPSHOT_DAMAGED`. */
export function locateRoots(roots: readonly SnapshotRoot[], place: Place): readonly string[] {
  if (roots.length > MAX_ROOTS) throw new CartonError('CARTON_SNAPSHOT_DAMAGED', { expected: `at most ${MAX_ROOTS} roots`, got: String(roots.length) });
  const paths: string[] = [];
  for (const root of roots) paths.push(pathOf(root, place, paths));
  return paths;
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
  return root?.kind === 'modules' || MODULES.test(path);
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
      if (existsSync(modulesAbove(place.baseDir, up))) this.#add({ kind: 'modules', up });
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
    const directory = packageOf(dirname(path));
    if (directory === undefined || this.#foreign.has(directory)) return undefined;
    const name = nameOf(directory);
    for (const [via, root] of this.roots.entries()) {
      if (name === undefined || root.kind !== 'modules') continue;
      if (realpathOf(join(this.#paths[via] as string, name)) === directory) return this.#add({ kind: 'linked', via, name });
    }
    this.#foreign.add(directory);
    return undefined;
  }
}

function nameOf(directory: string): string | undefined {
  const { name } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { name?: unknown };
  return typeof name === 'string' && PACKAGE_NAME.test(name) ? name : undefined;
}

function realpathOf(path: string): string | undefined {
  return existsSync(path) ? realpathSync(path) : undefined;
}
