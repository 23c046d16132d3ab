/**
 * What Egg's loader asked while an application was recorded, with the disk's answers. Runs where a snapshot is recorded.
 *
 * Some applications write files while they start, and list them then. So an answer is kept only if the same question
 * always got it, still gets it at the end, and does not rest on what came to be meanwhile.
 */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { LoaderAnswers } from './manifest';
import type { LoaderSource } from './loader_face';
import { staysInside } from './manifest_check';
import type { PathTable } from './paths';

type Kind = keyof LoaderAnswers;

interface Question {
  readonly kind: Kind;
  readonly key: string;
  readonly answer: unknown;
  /** Asks the disk. */
  readonly again: () => unknown;
  /** What has to have been there before the recording. */
  readonly restsOn: readonly string[];
}

export class LoaderQuestions implements LoaderSource {
  /** Directories that were listed. */
  readonly listed = new Set<string>();
  readonly #questions = new Map<string, Question>();
  readonly #ambiguous = new Set<string>();
  readonly #paths: PathTable;

  constructor(paths: PathTable) {
    this.#paths = paths;
  }

  exists(path: string): boolean {
    const again = (): boolean => existsSync(path);
    return this.#note('exists', path, again, (found) => (found ? [path] : []));
  }

  mode(path: string): number {
    return this.#note('modes', path, () => statSync(path).mode, () => [path]);
  }

  realPath(path: string): string {
    const again = (): string | undefined => this.#paths.key(realpathSync(path));
    this.#note('realPaths', path, again, () => [path]);
    return realpathSync(path);
  }

  glob(patterns: unknown, path: string, ask: () => string[]): readonly string[] {
    const found = ask();
    const directory = this.#paths.directory(path);
    if (directory === undefined || !found.every(staysInside)) return found;
    this.listed.add(path);
    this.#add({ kind: 'globs', key: JSON.stringify([patterns, directory]), answer: found, again: ask, restsOn: found.map((name) => join(path, name)) });
    return found;
  }

  /** What is to be written. `startedNs` is when the recording began. */
  answers(startedNs: bigint): LoaderAnswers {
    const tables: Record<Kind, Record<string, unknown>> = { exists: {}, modes: {}, realPaths: {}, globs: {} };
    for (const [id, { kind, key, answer, again, restsOn }] of this.#questions) {
      if (this.#ambiguous.has(id) || answer === undefined || restsOn.some((path) => isNew(path, startedNs))) continue;
      if (isDeepStrictEqual(again(), answer)) tables[kind][key] = answer;
    }
    return tables as unknown as LoaderAnswers;
  }

  #note<T>(kind: Kind, path: string, again: () => T, restsOn: (answer: T) => readonly string[]): T {
    const answer = again();
    const key = this.#paths.key(path);
    if (key !== undefined) this.#add({ kind, key, answer, again, restsOn: restsOn(answer) });
    return answer;
  }

  #add(question: Question): void {
    const id = `${question.kind} ${question.key}`;
    const known = this.#questions.get(id);
    if (known !== undefined && !isDeepStrictEqual(known.answer, question.answer)) this.#ambiguous.add(id);
    this.#questions.set(id, question);
  }
}

/** Whether it is gone, or came to be since. */
function isNew(path: string, startedNs: bigint): boolean {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined || stats.birthtimeNs >= startedNs;
}
