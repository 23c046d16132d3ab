/**
 * Numbers for the directories and files of a manifest, given out as they are met. Runs where a snapshot is recorded.
 */
import { statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { FileNumber } from './manifest';
import { isInstalled, RootTable, type Place } from './roots';

const APPLICATION = ['application', 'real-application'];

export class PathTable {
  readonly directories: string[] = [];
  readonly files: (readonly [directory: number, name: string])[] = [];
  readonly #table: RootTable;
  readonly #directoryNumbers = new Map<string, number | undefined>();
  readonly #fileNumbers = new Map<string, FileNumber>();
  readonly #filePaths: string[] = [];

  constructor(place: Place) {
    this.#table = new RootTable(place);
  }

  get roots(): RootTable['roots'] {
    return this.#table.roots;
  }

  /** Undefined outside of the application and its dependencies. */
  directory(path: string): number | undefined {
    if (this.#directoryNumbers.has(path)) return this.#directoryNumbers.get(path);
    const found = this.#table.locate(path);
    const number = found === undefined ? undefined : this.directories.push(found[1] === '' ? String(found[0]) : `${found[0]}/${found[1]}`) - 1;
    this.#directoryNumbers.set(path, number);
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
    const directory = this.directory(dirname(path));
    return directory === undefined ? undefined : `${directory}/${basename(path)}`;
  }

  /** All directories that have a number, as absolute paths. */
  directoryPaths(): string[] {
    return [...this.#directoryNumbers].flatMap(([path, number]) => (number === undefined ? [] : path));
  }

  isApplication(path: string): boolean {
    const found = this.#table.locate(path);
    return found?.[1] === '' && APPLICATION.includes(this.roots[found[0]]?.kind ?? '');
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
