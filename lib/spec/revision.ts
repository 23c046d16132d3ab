/**
 * The content hash that names a revision: over code, specs and lockfile, so that two hosts with the same files agree
 * and any change is another revision. Runs at boot, in the agent; memory stays flat whatever the files' sizes.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { byCodeUnit, readEach, realpathOrNone, walk } from './files';

/** Directories of an Egg application that hold code; `functionDirectory` and `specFile` may add theirs. */
const CODE_DIRECTORIES = ['app', 'config', 'lib'];
const CODE = /\.(?:[cm]?js|ts|json|node)$/;
const DECLARATIONS = /\.d\.ts$/;
/** Lockfiles without a code extension; package-lock.json has one. */
const LOCKFILES = new Set(['pnpm-lock.yaml', 'yarn.lock']);
/** Below the code directories, but not code that functions run. */
const EXCLUDED = new Set(['app/public', 'app/view']);

/** Files up to this size are read whole: a stream for each small file doubles the time of a boot with many. */
const WHOLE_FILE_BYTES = 1024 * 1024;

/** Hexadecimal digits of a revision: 64 bits, beyond any accident among the revisions of one application. */
const DIGITS = 16;

export interface HashOptions {
  /** Both relative to the application's root. */
  readonly functionDirectory: string;
  readonly specFile: string;
}

/** Hash of an application's code, as 16 hexadecimal digits. Links out of `baseDir` are not followed. */
export async function contentHash(baseDir: string, options: HashOptions): Promise<string> {
  const root = (await realpathOrNone(baseDir)) ?? baseDir;
  const files = await codeFiles(root, options);
  const digests = await readEach(files, (file) => digestOf(path.join(root, file)));
  const hash = createHash('sha256');
  // Each file as name, NUL, fixed-size digest: no two sets of files can yield the same bytes.
  files.forEach((file, index) => {
    const digest = digests[index];
    if (digest !== undefined) hash.update(`${file}\0`).update(digest);
  });
  return hash.digest('hex').slice(0, DIGITS);
}

/** What the hash covers, relative to the application's real path, in order. */
export async function codeFiles(root: string, { functionDirectory, specFile }: HashOptions): Promise<readonly string[]> {
  const extra = [functionDirectory, specFile].map((entry) => path.posix.normalize(entry).split('/')[0] as string);
  const directories = new Set([...CODE_DIRECTORIES, ...extra.filter((entry) => specFile !== entry && entry !== '.' && entry !== '..')]);
  const { files } = await walk(root, {
    boundary: root,
    enter(directory) {
      const base = path.posix.basename(directory);
      if (base === 'node_modules' || base.startsWith('.') || EXCLUDED.has(directory)) return false;
      return directories.has(directory.split('/')[0] as string);
    },
    take(file) {
      const base = path.posix.basename(file);
      if (base.startsWith('.')) return false;
      return (CODE.test(base) && !DECLARATIONS.test(base)) || (LOCKFILES.has(base) && base === file);
    },
  });
  return [...files].sort(byCodeUnit);
}

/** Undefined for a file that went away since it was listed: an editor replaces files so, in development. */
async function digestOf(file: string): Promise<Buffer | undefined> {
  const hash = createHash('sha256');
  try {
    if ((await fs.promises.stat(file)).size <= WHOLE_FILE_BYTES) return hash.update(await fs.promises.readFile(file)).digest();
    await pipeline(fs.createReadStream(file), hash);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return hash.digest();
}
