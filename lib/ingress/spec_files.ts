/**
 * In development, in app workers: whether the files of functions, or the one of their specs, have changed since the
 * last look. It costs a few microseconds a file, so that it can be asked before every request; what a change means is
 * for the agent to say.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CartonError } from '../support/errors';

const SPEC_EXTENSIONS = ['.ts', '.js', '.cjs', '.mjs'];
/** Files and directories that are looked at; an application's functions are far below it. */
const MAX_ENTRIES = 10_000;

export class SpecFiles {
  readonly #directory: string;
  readonly #specFile: string;
  #seen: string;

  constructor(baseDir: string, { functionDirectory, specFile }: { readonly functionDirectory: string; readonly specFile: string }) {
    this.#directory = join(baseDir, functionDirectory);
    this.#specFile = join(baseDir, specFile);
    this.#seen = this.#look();
  }

  /** True once after each change. */
  changed(): boolean {
    const now = this.#look();
    if (now === this.#seen) return false;
    this.#seen = now;
    return true;
  }

  #look(): string {
    const found: string[] = SPEC_EXTENSIONS.map((extension) => stateOf(this.#specFile + extension));
    this.#visit(this.#directory, found);
    return found.join('|');
  }

  #visit(directory: string, found: string[]): void {
    for (const entry of entriesOf(directory)) {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
      if (found.length > MAX_ENTRIES) throw new CartonError('CARTON_SPEC_INVALID', { of: this.#directory, expected: `at most ${MAX_ENTRIES} files`, got: 'more' });
      const path = join(directory, entry.name);
      found.push(`${entry.name} ${stateOf(path)}`);
      if (entry.isDirectory()) this.#visit(path, found);
    }
  }
}

/** Empty where it is gone, or was never there. */
function entriesOf(directory: string): readonly { readonly name: string; isDirectory(): boolean }[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function stateOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? '-' : `${stat.mtimeMs}/${stat.size}/${stat.ino}`;
}
