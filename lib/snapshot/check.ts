/**
 * Whether a snapshot still says what the disk says. Runs in the agent before function processes are told of a snapshot,
 * in Egg's agent and app workers before they use one, and in `egg-carton snapshot --verify`; before any replay, so that
 * Node's own answers are compared.
 *
 * The application's own files are looked at by time and size, then by content; its directories by the names in them,
 * and only where those differ is every question asked again.
 */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { CartonError, describe } from '../support/errors';
import { internals, resolveFrom } from './commonjs';
import { contentOf, digestOf, parse, type Opened } from './format';
import { expectKey, keyOf, type ProcessKey } from './key';
import { MISSING, type FileNumber, type Manifest, type SnapshotSubject, type Stamps } from './manifest';
import { expectStamps } from './manifest_check';
import { isApplicationRoot, isInstalled, locateRoots, type Place } from './roots';
import { namesDigest } from './stamps';

export interface Difference {
  readonly path: string;
  readonly problem: string;
}

export interface CheckOptions {
  /** Of the processes that are to use the snapshot, where they are started with other flags. @default this process's */
  readonly process?: ProcessKey;
  /** Looks at the times of installed files, too; otherwise the lockfile speaks for them. @default where there is none */
  readonly installed?: boolean;
}

/** Throws `CARTON_SNAPSHOT_MISMATCH`, which names the key that differs, or `_DAMAGED`. */
export function expectSubject(opened: Opened, subject: SnapshotSubject, options: CheckOptions = {}): void {
  const key = keyOf(subject, options.process);
  expectKey(key, opened.manifest.key);
  const [first] = new Check(opened, subject).quickly(options.installed ?? key.lockfile === '');
  if (first !== undefined) throw new CartonError('CARTON_SNAPSHOT_MISMATCH', { of: 'key "application"', expected: `${first.path} as it was`, got: first.problem });
}

/** Everything that differs, of dependencies too, by content. */
export function verify(opened: Opened, place: Place): readonly Difference[] {
  return new Check(opened, place).everything();
}

class Check {
  readonly #manifest: Manifest;
  readonly #stamps: Stamps;
  readonly #roots: readonly string[];
  readonly #place: Place;

  constructor(opened: Opened, place: Place) {
    this.#manifest = opened.manifest;
    this.#stamps = expectStamps(parse(contentOf(opened, opened.manifest.stamps).toString()), opened.manifest);
    this.#roots = locateRoots(opened.manifest.roots, place);
    this.#place = place;
  }

  quickly(installed: boolean): readonly Difference[] {
    const changed = this.#stamps.files.flatMap((stamp) => (!installed && this.#isInstalled(stamp[0]) ? [] : this.#file(stamp, false)));
    const isOther = this.#stamps.directories.some(([directory, names]) => namesDigest(this.#directory(directory), this.#isApplicationRoot(directory)) !== names);
    return changed.length > 0 || !isOther ? changed : this.#questions(false);
  }

  everything(): readonly Difference[] {
    return [...this.#stamps.files.flatMap((stamp) => this.#file(stamp, true)), ...this.#questions(true)];
  }

  #file([file, mtimeNs, bytes, sha256]: Stamps['files'][number], byContent: boolean): Difference[] {
    const path = this.#path(file);
    try {
      const stats = statSync(path, { bigint: true });
      if (!byContent && isSameTime(stats.mtimeNs, BigInt(mtimeNs)) && stats.size === BigInt(bytes)) return [];
      return digestOf(readFileSync(path)) === sha256 ? [] : [{ path, problem: 'another content' }];
    } catch (error) {
      return [{ path, problem: describe(error) }];
    }
  }

  /** Asks every recorded question again; of dependencies only with `all`. */
  #questions(all: boolean): Difference[] {
    // Node would tell what it found when it was asked before.
    internals._pathCache = Object.create(null) as Record<string, string>;
    const { resolutions, absolute, searches } = this.#manifest;
    const found: Difference[] = [];
    const compare = (path: string, expected: string | undefined, got: string | undefined): void => {
      if (expected !== got) found.push({ path, problem: `${got ?? 'nothing'} instead of ${expected ?? 'nothing'}` });
    };
    for (const [directory, answers] of Object.entries(resolutions)) {
      if (!all && this.#isInstalledDirectory(Number(directory))) continue;
      const path = this.#directory(Number(directory));
      for (const [request, file] of Object.entries(answers)) compare(`${request} in ${path}`, this.#answer(file), resolveFrom(path, request));
    }
    for (const [key, file] of Object.entries(absolute)) compare(this.#keyPath(key), this.#answer(file), resolveFrom(this.#place.baseDir, this.#keyPath(key)));
    for (const [key, file] of Object.entries(searches)) {
      const [request, ...directories] = JSON.parse(key) as [string, ...number[]];
      compare(request, this.#answer(file), resolveFrom(this.#place.baseDir, request, directories.map((directory) => this.#directory(directory))));
    }
    return [...found, ...this.#loaderQuestions()];
  }

  #loaderQuestions(): Difference[] {
    const { exists, modes, realPaths, globs } = this.#manifest.loader;
    const found: Difference[] = [];
    const compare = (path: string, expected: unknown, got: unknown): void => {
      if (expected !== got) found.push({ path, problem: `${String(got)} instead of ${String(expected)}` });
    };
    for (const [key, answer] of Object.entries(exists)) compare(this.#keyPath(key), answer, existsSync(this.#keyPath(key)));
    for (const [key, mode] of Object.entries(modes)) compare(this.#keyPath(key), mode & KIND, kindOf(this.#keyPath(key)));
    for (const [key, real] of Object.entries(realPaths)) {
      const path = this.#keyPath(key);
      compare(path, this.#keyPath(real), existsSync(path) ? realpathSync(path) : undefined);
    }
    for (const [key, names] of Object.entries(globs)) {
      const [patterns, directory] = JSON.parse(key) as [unknown, number];
      compare(this.#directory(directory), JSON.stringify(names), this.#list(patterns, this.#directory(directory)));
    }
    return found;
  }

  /** By the globby that Egg's loader uses, which is there if something was listed. */
  #list(patterns: unknown, cwd: string): string {
    const loader = this.#manifest.files.find((entry) => entry[2] === 2);
    const globby = createRequire(join(this.#directory(loader?.[0] ?? 0), 'loader.js'))('globby') as Globby;
    try {
      return JSON.stringify(globby.sync(patterns, { cwd }));
    } catch (error) {
      return describe(error);
    }
  }

  #isInstalled(file: FileNumber): boolean {
    return this.#isInstalledDirectory(this.#manifest.files[file]?.[0] ?? 0);
  }

  #isInstalledDirectory(directory: number): boolean {
    const [root, ...rest] = (this.#manifest.directories[directory] ?? '').split('/');
    return isInstalled(this.#manifest.roots[Number(root)], rest.join('/'));
  }

  #isApplicationRoot(directory: number): boolean {
    const [root, ...rest] = (this.#manifest.directories[directory] ?? '').split('/');
    return isApplicationRoot(this.#manifest.roots[Number(root)], rest.join('/'));
  }

  #answer(file: FileNumber): string | undefined {
    return file === MISSING ? undefined : this.#path(file);
  }

  #path(file: FileNumber): string {
    const entry = this.#manifest.files[file];
    return join(this.#directory(entry?.[0] ?? 0), entry?.[1] ?? '');
  }

  #directory(directory: number): string {
    const [root, ...rest] = (this.#manifest.directories[directory] ?? '').split('/');
    return [this.#roots[Number(root)] ?? '', ...rest].join('/');
  }

  #keyPath(key: string): string {
    const [directory, ...rest] = key.split('/');
    return [this.#directory(Number(directory)), ...rest].join('/');
  }
}

interface Globby {
  sync(patterns: unknown, options: { readonly cwd: string }): string[];
}

const SECOND_NS = 1_000_000_000n;

/** Layers of an image and other archives keep whole seconds: a file out of one has nothing beyond them. */
function isSameTime(now: bigint, then: bigint): boolean {
  return now === then || (now % SECOND_NS === 0n && now / SECOND_NS === then / SECOND_NS);
}

/** Of a mode, the kind of the file: permissions are not asked for. */
const KIND = 0o170000;

/** 0 where there is nothing. */
function kindOf(path: string): number {
  return existsSync(path) ? statSync(path).mode & KIND : 0;
}
