/**
 * Writes several files or none: each goes to a temporary file beside its place first, and only once all of them are on
 * disk they are renamed. Runs in the command line only.
 *
 * 1. A file is never half-written: readers see the old text or the new one.
 * 2. Where one rename fails, those before it are taken back.
 * 3. A file that has changed since it was read is not overwritten.
 */
import fs from 'node:fs';
import path from 'node:path';
import { CartonError, describe } from '../../support/errors';

export interface FileChange {
  /** Absolute. */
  readonly path: string;
  /** Undefined where there is no such file yet. */
  readonly before: string | undefined;
  readonly after: string;
}

/** @throws CARTON_CLI_CANNOT_EDIT; then nothing has changed. */
export function writeAll(changes: readonly FileChange[]): void {
  const undo: (() => void)[] = [];
  try {
    const staged = changes.map((change) => stage(change, undo));
    for (const { change, temporary, target } of staged) {
      fs.renameSync(temporary, target);
      undo.push(() => restore(target, change.before));
    }
  } catch (cause) {
    for (const step of undo.reverse()) step();
    if (cause instanceof CartonError) throw cause;
    throw new CartonError('CARTON_CLI_CANNOT_EDIT', { expected: 'to write its files', got: describe(cause), cause });
  }
}

interface Staged {
  readonly change: FileChange;
  readonly temporary: string;
  readonly target: string;
}

function stage(change: FileChange, undo: (() => void)[]): Staged {
  // A link stays a link: what it leads to is replaced.
  const target = fs.existsSync(change.path) ? fs.realpathSync(change.path) : change.path;
  const present = readIfThere(target);
  if (present !== change.before) {
    throw new CartonError('CARTON_CLI_CANNOT_EDIT', { of: change.path, expected: 'the file as it was shown', got: 'one that has changed since', hint: 'Run the command again.' });
  }
  const made = fs.mkdirSync(path.dirname(target), { recursive: true });
  if (made !== undefined) undo.push(() => fs.rmSync(made, { recursive: true, force: true }));
  const temporary = `${target}.${process.pid}.tmp`;
  undo.push(() => fs.rmSync(temporary, { force: true }));
  fs.writeFileSync(temporary, change.after, { flag: 'wx', mode: present === undefined ? 0o644 : fs.statSync(target).mode & 0o777 });
  return { change, temporary, target };
}

function restore(target: string, before: string | undefined): void {
  if (before === undefined) fs.rmSync(target, { force: true });
  else fs.writeFileSync(target, before);
}

/** The file's text, or undefined where there is none. */
export function readIfThere(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new CartonError('CARTON_CLI_CANNOT_EDIT', { of: file, expected: 'a file that can be read', got: describe(error), cause: error });
  }
}
