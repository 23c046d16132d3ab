/**
 * Whether a manifest keeps within its own tables, the contents of its file and its roots. Asked of each snapshot that is
 * opened, before anything of it is used: who uses one takes every number and every path of it as it stands. Runs where a
 * snapshot is used.
 *
 * A start waits for it, in code that has never run before. So paths are joined and searched once for a bad one, and
 * loops do little: 2 ms for 2,000 answers and paths, where a match and a destructuring for each took 4.
 */
import { CartonError } from '../support/errors';
import { MISSING, type Manifest, type Stamps } from './manifest';

/** Roots of one snapshot: a workspace with every package linked is far below. */
export const MAX_ROOTS = 1024;
/** Levels above an application that `node_modules` is looked for in. */
export const MAX_LEVELS = 32;
export const PACKAGE_NAME = /^(?:@(?!\.)[\w.~-]+\/)?(?!\.{1,2}$)[\w.~-]+$/;

const PLAIN_ROOTS: readonly unknown[] = ['application', 'real-application', 'framework', 'carton'];

/** Texts are joined by what none of them can hold; each of these finds one that does not fit. */
const SEPARATOR = '\0';
/** Not a number, or a number and directories below it with a way out among them. */
const BAD_DIRECTORY = /(?:^|\0)(?!\d{1,9}(?:[/\0]|$))|\/\.{0,2}(?:[/\0]|$)/;
/** Not the name of a file. */
const BAD_NAME = /\/|(?:^|\0)\.{0,2}(?:\0|$)/;
/** Not a number and the name of a file. */
const BAD_PATH = /(?:^|\0)(?!\d{1,9}\/(?!\.{0,2}(?:\0|$))[^/\0]+(?:\0|$))/;
const BAD_NUMBER = /(?:^|\0)(?!\d{1,9}(?:\0|$))/;
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
  expect(fit(directories, BAD_DIRECTORY) && startBelow(directories, roots.length), 'directories below the roots', directories);
  expectFiles(files, directories.length, contentBytes);
  expect(fit(files.map((file) => (file as readonly unknown[])[1]), BAD_NAME), 'names of files', files);
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
  const areFiles = (answers: readonly unknown[]): boolean => answers.every((answer) => answer === MISSING || isBelow(answer, files));
  const resolutions = entries(manifest['resolutions'], 'resolutions');
  const asking = Object.keys(resolutions);
  expect(fit(asking, BAD_NUMBER) && startBelow(asking, directories), 'resolutions by directory', asking);
  for (const directory of asking) expect(areFiles(Object.values(entries(resolutions[directory], 'resolutions'))), 'resolutions to files', resolutions[directory]);
  const absolute = entries(manifest['absolute'], 'absolute requests');
  expect(arePaths(Object.keys(absolute), directories) && areFiles(Object.values(absolute)), 'absolute requests by path, to files', absolute);
  const searches = entries(manifest['searches'], 'searches');
  for (const key of Object.keys(searches)) {
    const [request, ...places] = list(parsed(key), 'a search');
    expect(typeof request === 'string' && places.every((place) => isBelow(place, directories)), 'searches in directories', key);
  }
  expect(areFiles(Object.values(searches)), 'searches to files', searches);
}

function expectLoader(loader: Entries, directories: number): void {
  const expectTable = (name: string, areAnswers: (values: readonly unknown[]) => boolean): void => {
    const table = entries(loader[name], name);
    expect(arePaths(Object.keys(table), directories) && areAnswers(Object.values(table)), `${name} by path`, table);
  };
  expectTable('exists', (values) => values.every((value) => typeof value === 'boolean'));
  expectTable('modes', (values) => values.every((value) => isBelow(value, 2 ** 32)));
  expectTable('realPaths', (values) => arePaths(values, directories));
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

/** Without calls, which are what takes long in code that runs for the first time. */
function expectFiles(files: readonly unknown[], directories: number, contentBytes: number): void {
  for (const value of files) {
    const file = value as readonly number[];
    const length = Array.isArray(value) ? file.length : 0;
    expect(length === 2 || length === 8, 'files with a directory and a name, or a content besides', value);
    let fits = typeof file[0] === 'number';
    for (let index = 2; index < length; index += 1) fits &&= typeof file[index] === 'number';
    // A whole number that is not negative is what `>>> 0` leaves as it is.
    fits &&= (file[0] as number) >>> 0 === file[0] && (file[0]) < directories;
    if (fits && length === 8) {
      const [kind, encoding, source, sourceBytes, cache, cacheBytes] = [file[2], file[3], file[4], file[5], file[6], file[7]] as [number, number, number, number, number, number];
      fits = kind >>> 0 === kind && kind < 3 && encoding >>> 0 === encoding && encoding < 2
        && source >>> 0 === source && sourceBytes >>> 0 === sourceBytes && source + sourceBytes <= contentBytes
        && cache >>> 0 === cache && cacheBytes >>> 0 === cacheBytes && cache + cacheBytes <= contentBytes;
    }
    expect(fits, 'files in the directories, with contents in the file', value);
  }
}

function isSpan(value: unknown, contentBytes: number): boolean {
  const [offset, bytes] = list(value, 'a place in the file');
  return isWithin(offset, bytes, contentBytes);
}

function isWithin(offset: unknown, bytes: unknown, contentBytes: number): boolean {
  return isBelow(offset, contentBytes + 1) && isBelow(bytes, contentBytes - offset + 1);
}

function isBelow(value: unknown, limit: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < limit;
}

function arePaths(paths: readonly unknown[], directories: number): boolean {
  return fit(paths, BAD_PATH) && startBelow(paths, directories);
}

/** Whether these are texts, and `bad` finds nothing in them. */
function fit(texts: readonly unknown[], bad: RegExp): texts is readonly string[] {
  if (!texts.every((text) => typeof text === 'string')) return false;
  const joined = texts.join(SEPARATOR);
  return texts.length === 0 || (joined.split(SEPARATOR).length === texts.length && !bad.test(joined));
}

/** Whether the numbers that texts start with, which `fit`, are below a limit. */
function startBelow(texts: readonly unknown[], limit: number): boolean {
  return texts.every((text) => Number.parseInt(text as string, 10) < limit);
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
