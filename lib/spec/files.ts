/**
 * Walks a directory for discovery and for the content hash. Runs at boot, in the agent. The order is the same on every
 * machine, links are followed only inside the application, and a walk that finds too much fails instead of going on.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { CartonError } from '../support/errors';

/** Files that one walk may take. An application is far below it; above it the walk has strayed into data. */
export const MAX_WALKED_FILES = 100_000;

export interface WalkOptions {
  /** Real path that links may not lead out of. */
  readonly boundary: string;
  /** Whether to go into a directory, by its path relative to the walk's root. */
  enter(directory: string): boolean;
  /** Whether to take a file. */
  take(file: string): boolean;
  /** @default MAX_WALKED_FILES */
  readonly maxFiles?: number;
}

export interface Walk {
  /** Relative to the root, with `/`, in code-unit order. */
  readonly files: readonly string[];
  /** Links that would have been taken, but lead out of the boundary. */
  readonly escaping: readonly string[];
}

/** A root that does not exist is an empty walk. */
export async function walk(root: string, options: WalkOptions): Promise<Walk> {
  const found = { files: [] as string[], escaping: [] as string[] };
  await visit({ absolute: root, relative: '', above: [] }, options, found);
  return { files: found.files.sort(byCodeUnit), escaping: found.escaping.sort(byCodeUnit) };
}

interface Directory {
  readonly absolute: string;
  readonly relative: string;
  /** Real paths of the directories above, so that a link to one of them ends there instead of going round. */
  readonly above: readonly string[];
}

async function visit(directory: Directory, options: WalkOptions, found: { files: string[]; escaping: string[] }): Promise<void> {
  const real = await realpathOrNone(directory.absolute);
  if (real === undefined || directory.above.includes(real)) return;
  for (const entry of await fs.readdir(real, { withFileTypes: true })) {
    const relative = directory.relative === '' ? entry.name : `${directory.relative}/${entry.name}`;
    const absolute = path.join(directory.absolute, entry.name);
    const kind = entry.isSymbolicLink() ? await kindOfLink(absolute, options.boundary) : kindOf(entry);
    if (kind === 'directory' && options.enter(relative)) {
      await visit({ absolute, relative, above: [...directory.above, real] }, options, found);
    } else if (kind === 'file' && options.take(relative)) {
      found.files.push(relative);
    } else if (kind === 'escaping' && (options.take(relative) || (path.extname(relative) === '' && options.enter(relative)))) {
      found.escaping.push(relative);
    }
    const { maxFiles = MAX_WALKED_FILES } = options;
    if (found.files.length > maxFiles) {
      throw new CartonError('CARTON_SPEC_INVALID', { of: directory.absolute, expected: `at most ${maxFiles} files`, got: 'more' });
    }
  }
}

type Kind = 'file' | 'directory' | 'escaping' | 'other';

function kindOf(entry: { isFile(): boolean; isDirectory(): boolean }): Kind {
  if (entry.isDirectory()) return 'directory';
  return entry.isFile() ? 'file' : 'other';
}

async function kindOfLink(absolute: string, boundary: string): Promise<Kind> {
  const real = await realpathOrNone(absolute);
  if (real === undefined) return 'other';
  if (real !== boundary && !real.startsWith(boundary + path.sep)) return 'escaping';
  return kindOf(await fs.stat(real));
}

/** Files read at once; enough to keep a disk busy without opening an application's worth of descriptors. */
const CONCURRENT_READS = 16;

/** `read` of each file, a bounded number at once; the results stand in the files' order. */
export async function readEach<T>(files: readonly string[], read: (file: string) => Promise<T>): Promise<readonly T[]> {
  const results: T[] = [];
  let next = 0;
  const reader = async (): Promise<void> => {
    while (next < files.length) {
      const index = next;
      next += 1;
      results[index] = await read(files[index] as string);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_READS }, reader));
  return results;
}

/** Undefined where nothing is there: a dangling link, or a file that an editor is just replacing. */
export async function realpathOrNone(absolute: string): Promise<string | undefined> {
  try {
    return await fs.realpath(absolute);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** The order of names everywhere in a revision: by code units, because a locale's order differs between machines. */
export function byCodeUnit(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
