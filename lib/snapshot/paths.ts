/**
 * Numbers for the directories and files of a manifest, given out as they are met. Runs where a snapshot is recorded.
 */
import { statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { FileNumber } from './manifest';
import { isApplicationRoot, isInstalled, RootTable, type Place } from './roots';

export class PathTable {
  readonly directories: string[] = [];
  readonly files: (readonly [directory: number, name: string])[] = [];
  readonly #table: RootTable;
  readonly #directoryNumbers = new Map<string, number | undefined>();
  readonly #directoryPaths: string[] = [];
  readonly #fileNumbers = new Map<string, FileNumber>();
  readonly #filePaths: string[] = [];

  constructor(place: Place) {
    this.#table = new RootTable(place);
  }

  get roots(): RootTable['roots'] {
    return this.#table.roots;
  }

  /** Undefined outside of the application and its dependencies, and of a path that goes there and back. */
  directory(path: string): number | undefined {
    if (this.#directoryNumbers.has(path)) return this.#directoryNumbers.get(path);
    const found = path === resolve(path) ? this.#table.locate(path) : undefined;
    const number = found === undefined ? undefined : this.directories.push(found[1] === '' ? String(found[0]) : `${found[0]}/${found[1]}`) - 1;
    this.#directoryNumbers.set(path, number);
    if (number !== undefined) this.#directoryPaths.push(path);
    return number;
  }

  file(path: string): FileNumber | undefined {
    const known = this.#fileNumbers.get(path);
    if (known !== undefined) return known;
    const directory = this.directory(dirname(path));
    if (directory === undefined) return undefined;
    const number = this.files.push([directory, basename(path)]) - 1;
    this.#fileNumbers.set(path, number);
    this.#filePaths.push(path);
    return number;
  }

  /** `<directory>/<base name>`, of a path that need not exist. */
  key(path: string): string | undefined {
    // `/a/..` has a base name that is none, and `/a/` stands for less than `/a`.
    const directory = path === resolve(path) ? this.directory(dirname(path)) : undefined;
    return directory === undefined ? undefined : `${directory}/${basename(path)}`;
  }

  /** The absolute path of a directory that has a number. */
  directoryPath(directory: number): string {
    return this.#directoryPaths[directory] as string;
  }

  /** What `key` made a key of. */
  keyPath(key: string): string {
    const end = key.indexOf('/');
    return join(this.directoryPath(Number(key.slice(0, end))), key.slice(end + 1));
  }

  /** All directories that have a number, as absolute paths. */
  directoryPaths(): readonly string[] {
    return this.#directoryPaths;
  }

  isApplication(path: string): boolean {
    const found = this.#table.locate(path);
    return found !== undefined && isApplicationRoot(this.roots[found[0]], found[1]);
  }

  /** Time of the last change of a file that has a number. Undefined where it is gone. */
  mtimeNs(file: FileNumber): bigint | undefined {
    return statSync(this.#filePaths[file] as string, { bigint: true, throwIfNoEntry: false })?.mtimeNs;
  }

  /** Whether a package manager put it there, so that the lockfile speaks for it. */
  isInstalled(path: string): boolean {
    const found = this.#table.locate(path);
    return found !== undefined && isInstalled(this.roots[found[0]], found[1]);
  }
}
