/**
 * Whether a manifest keeps within its own tables, the contents of its file and its roots. Asked of each snapshot that is
 * opened, before anything of it is used: who uses one takes every number and every path of it as it stands. Runs where a
 * snapshot is used; it takes part of a millisecond for thousands of answers.
 */
import { CartonError } from '../support/errors';
import type { Manifest, Stamps } from './manifest';

/** Roots of one snapshot: a workspace with every package linked is far below. */
export const MAX_ROOTS = 1024;
/** Levels above an application that `node_modules` is looked for in. */
export const MAX_LEVELS = 32;
export const PACKAGE_NAME = /^(?:@(?!\.)[\w.~-]+\/)?(?!\.{1,2}$)[\w.~-]+$/;

const PLAIN_ROOTS: readonly unknown[] = ['application', 'real-application', 'framework', 'carton'];
/** A number, and directories below it; the name of a file; a number, and the name of a file. Never a way out. */
const DIRECTORY = /^(\d{1,9})(?:\/(?!\.{0,2}(?:\/|$))[^/\0]+)*$/;
const NAME = /^(?!\.{1,2}$)[^/\0]+$/;
const PATH_KEY = /^(\d{1,9})\/(?!\.{1,2}$)[^/\0]+$/;
/** What a listing must not give. */
const WAY_OUT = /^\/|(?:^|\/)\.\.(?:\/|$)|\0/;

type Entries = Readonly<Record<string, unknown>>;

/** Throws `CARTON_SNAPSHOT_DAMAGED`, which names the first part that does not fit. */
export function expectManifest(value: unknown, contentBytes: number): Manifest {
  const manifest = entries(value, 'a manifest');
  const roots = list(manifest['roots'], 'roots');
  const directories = list(manifest['directories'], 'directories');
  const files = list(manifest['files'], 'files');
  entries(manifest['key'], 'a key');
  expect(roots.length <= MAX_ROOTS && roots.every(isRoot), 'roots within the application and its dependencies', roots);
  for (const directory of directories) expect(numberOf(DIRECTORY, directory) < roots.length, 'directories below the roots', directory);
  for (const file of files) expect(isFile(file, directories.length, contentBytes), 'files in the directories, with contents in the file', file);
  expectAnswers(manifest, directories.length, files.length);
  expectLoader(entries(manifest['loader'], 'answers to the loader'), directories.length);
  expect(isSpan(manifest['stamps'], contentBytes), 'stamps in the file', manifest['stamps']);
  list(manifest['omitted'], 'omitted files');
  return value as Manifest;
}

/** Throws `CARTON_SNAPSHOT_DAMAGED`. */
export function expectStamps(value: unknown, { directories, files }: Manifest): Stamps {
  const stamps = entries(value, 'stamps');
  for (const stamp of list(stamps['files'], 'stamps of files')) {
    const [file, mtimeNs, bytes, sha256] = list(stamp, 'a stamp');
    const fits = isBelow(file, files.length) && typeof mtimeNs === 'string' && /^-?\d{1,20}$/.test(mtimeNs) && isBelow(bytes, Infinity) && typeof sha256 === 'string';
    expect(fits, 'a file with time, size and digest', stamp);
  }
  for (const stamp of list(stamps['directories'], 'stamps of directories')) {
    const [directory, names] = list(stamp, 'a stamp');
    expect(isBelow(directory, directories.length) && typeof names === 'string', 'a directory with the digest of its names', stamp);
  }
  return value as Stamps;
}

function expectAnswers(manifest: Entries, directories: number, files: number): void {
  const isAnswer = (value: unknown): boolean => value === -1 || isBelow(value, files);
  for (const [directory, answers] of Object.entries(entries(manifest['resolutions'], 'resolutions'))) {
    expect(numberOf(/^(\d{1,9})$/, directory) < directories, 'resolutions by directory', directory);
    for (const value of Object.values(entries(answers, 'resolutions'))) expect(isAnswer(value), 'resolutions to files', value);
  }
  for (const [key, value] of Object.entries(entries(manifest['absolute'], 'absolute requests'))) {
    expect(numberOf(PATH_KEY, key) < directories && isAnswer(value), 'absolute requests by path, to files', [key, value]);
  }
  for (const [key, value] of Object.entries(entries(manifest['searches'], 'searches'))) {
    const [request, ...places] = list(parsed(key), 'a search');
    expect(typeof request === 'string' && places.every((place) => isBelow(place, directories)) && isAnswer(value), 'searches in directories, to files', [key, value]);
  }
}

function expectLoader(loader: Entries, directories: number): void {
  const isPath = (key: unknown): boolean => numberOf(PATH_KEY, key) < directories;
  const expectTable = (name: string, isAnswer: (value: unknown) => boolean): void => {
    for (const [key, value] of Object.entries(entries(loader[name], name))) expect(isPath(key) && isAnswer(value), `${name} by path`, [key, value]);
  };
  expectTable('exists', (value) => typeof value === 'boolean');
  expectTable('modes', (value) => isBelow(value, 2 ** 32));
  expectTable('realPaths', isPath);
  for (const [key, names] of Object.entries(entries(loader['globs'], 'listings'))) {
    expect(isBelow(list(parsed(key), 'a listing')[1], directories), 'listings by directory', key);
    expect(list(names, 'a listing').every(staysInside), 'listings of what is below a directory', names);
  }
}

/** Whether a listed name, relative to its directory, stays below it. */
export function staysInside(name: unknown): boolean {
  return typeof name === 'string' && !WAY_OUT.test(name);
}

function isRoot(root: unknown, index: number, roots: readonly unknown[]): boolean {
  const { kind, up, via, name } = entries(root, 'a root');
  if (kind === 'modules' || kind === 'real-modules') return isBelow(up, MAX_LEVELS + 1);
  if (kind !== 'linked') return PLAIN_ROOTS.includes(kind);
  return isBelow(via, index) && (roots[via] as Entries)['kind'] === 'modules' && typeof name === 'string' && PACKAGE_NAME.test(name);
}

function isFile(file: unknown, directories: number, contentBytes: number): boolean {
  const [directory, name, kind, encoding, sourceOffset, sourceBytes, cacheOffset, cacheBytes, ...rest] = list(file, 'a file');
  if (!isBelow(directory, directories) || typeof name !== 'string' || !NAME.test(name)) return false;
  if ((file as readonly unknown[]).length === 2) return true;
  return rest.length === 0 && isBelow(kind, 3) && isBelow(encoding, 2) && isSpan([sourceOffset, sourceBytes], contentBytes) && isSpan([cacheOffset, cacheBytes], contentBytes);
}

function isSpan(value: unknown, contentBytes: number): boolean {
  const [offset, bytes] = list(value, 'a place in the file');
  return isBelow(offset, contentBytes + 1) && isBelow(bytes, contentBytes - offset + 1);
}

function isBelow(value: unknown, limit: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < limit;
}

/** The number that a path begins with; NaN, which is below nothing, where it is no such path. */
function numberOf(pattern: RegExp, value: unknown): number {
  return typeof value === 'string' ? Number(pattern.exec(value)?.[1] ?? NaN) : NaN;
}

function parsed(key: string): unknown {
  try {
    return JSON.parse(key) as unknown;
  } catch {
    return undefined;
  }
}

function list(value: unknown, what: string): readonly unknown[] {
  expect(Array.isArray(value), what, value);
  return value as readonly unknown[];
}

function entries(value: unknown, what: string): Entries {
  expect(typeof value === 'object' && value !== null && !Array.isArray(value), what, value);
  return value as Entries;
}

/** Characters of what does not fit, in a message. */
const SHOWN = 100;

function expect(fits: boolean, what: string, got: unknown): void {
  if (!fits) throw new CartonError('CARTON_SNAPSHOT_DAMAGED', { expected: what, got: String(JSON.stringify(got)).slice(0, SHOWN) });
}
