/**
 * What Egg's loader asked while an application was recorded, with the disk's answers. Runs where a snapshot is recorded.
 */
import { existsSync, realpathSync, statSync } from 'node:fs';
import type { LoaderAnswers } from './manifest';
import type { LoaderSource } from './loader_face';
import type { PathTable } from './paths';

type Mutable<T> = { readonly [K in keyof T]: Record<string, T[K][keyof T[K]]> };

export class LoaderQuestions implements LoaderSource {
  readonly answers: Mutable<LoaderAnswers> = { exists: {}, modes: {}, realPaths: {}, globs: {} };
  /** Directories that were listed. */
  readonly listed = new Set<string>();
  readonly #paths: PathTable;

  constructor(paths: PathTable) {
    this.#paths = paths;
  }

  exists(path: string): boolean {
    const found = existsSync(path);
    this.#note(path, (key) => (this.answers.exists[key] = found));
    return found;
  }

  mode(path: string): number {
    const { mode } = statSync(path);
    this.#note(path, (key) => (this.answers.modes[key] = mode));
    return mode;
  }

  realPath(path: string): string {
    const real = realpathSync(path);
    const found = this.#paths.key(real);
    if (found !== undefined) this.#note(path, (key) => (this.answers.realPaths[key] = found));
    return real;
  }

  glob(patterns: unknown, path: string, ask: () => string[]): readonly string[] {
    const found = ask();
    const directory = this.#paths.directory(path);
    if (directory === undefined) return found;
    this.answers.globs[JSON.stringify([patterns, directory])] = found;
    this.listed.add(path);
    return found;
  }

  #note(path: string, write: (key: string) => void): void {
    const key = this.#paths.key(path);
    if (key !== undefined) write(key);
  }
}
