/**
 * In development: whether anything that this process loaded has changed since. The check runs before each invocation,
 * so that an edit takes effect at the very next request; it cannot miss one as a file watcher can.
 *
 * Each file is noted right before Node reads it. So a function that is edited while its process waits for it is not
 * stale, and a service that is edited while it boots is. Files that failed to load are noted, too.
 *
 * What ES modules import is not seen: Node has no list of it. Of those, only what is noted by name counts.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import Module from 'node:module';
import { dirname, join, sep } from 'node:path';

/**
 * Milliseconds after its last change within which a file may change again without another time: file systems count in
 * steps of up to 2 s. Until then its content is compared, as git does with a racy index.
 */
const TIME_STEP_MS = 2_000;
const CODE = /\.(?:[cm]?[jt]s|json)$/;
/** Files that say how the others are loaded. */
const SETTINGS = ['package.json', 'tsconfig.json'];

interface FileState {
  readonly mtimeMs: number;
  readonly size: number;
  readonly inode: number;
  /** Hash of the content, as long as the times may not tell; '' afterwards. */
  readonly content: string;
}

interface DirectoryState {
  readonly mtimeMs: number;
  readonly names: string;
}

export class Freshness {
  readonly #root: string;
  readonly #ownRoot: string;
  readonly #files = new Map<string, FileState>();
  readonly #directories = new Map<string, DirectoryState>();
  #booted = false;

  /** @param baseDir the application's root: what is below it counts, and packages that are linked into it */
  constructor(baseDir: string) {
    this.#root = realpathSync(baseDir);
    this.#ownRoot = join(__dirname, '../..');
    for (const name of SETTINGS) this.note(join(this.#root, name));
    this.#noteDirectory(join(this.#root, 'app'));
  }

  /** Notes from now on whatever is loaded with `require`, right before it is read. For the life of the process. */
  record(): this {
    const prototype = Module.prototype as unknown as { load(this: unknown, path: string): void };
    const load = prototype.load;
    const note = (path: string): void => this.#noteLoaded(path);
    prototype.load = function recorded(path: string): void {
      note(path);
      load.call(this, path);
    };
    return this;
  }

  /** The application has booted: files that are new in its directories later count no more for what loads then. */
  booted(): void {
    this.#booted = true;
  }

  /** Notes a file as it is now, whether it exists or not. To be called before it is read. */
  note(path: string): void {
    if (!this.#files.has(path)) this.#files.set(path, stateOf(path));
  }

  /** The first file or directory that has changed, or undefined. Costs about 3 µs for each. */
  changed(): string | undefined {
    for (const [path, state] of this.#files) if (this.#fileChanged(path, state)) return path;
    for (const [path, state] of this.#directories) if (this.#directoryChanged(path, state)) return path;
    return undefined;
  }

  #noteLoaded(path: string): void {
    if (!this.#counts(path)) return;
    this.note(path);
    if (this.#booted) return;
    // A service that is written later would be missing; so the directories of what an application boots from count.
    for (let directory = dirname(path); directory.startsWith(this.#root); directory = dirname(directory)) this.#noteDirectory(directory);
  }

  #counts(path: string): boolean {
    if (path.startsWith(this.#root + sep)) return !path.slice(this.#root.length).includes(`${sep}node_modules${sep}`);
    return !path.includes(`${sep}node_modules${sep}`) && !path.startsWith(this.#ownRoot + sep);
  }

  #noteDirectory(path: string): void {
    if (!this.#directories.has(path)) this.#directories.set(path, { mtimeMs: mtimeOf(path), names: this.#namesIn(path) });
  }

  #fileChanged(path: string, before: FileState): boolean {
    const stat = statSync(path, { throwIfNoEntry: false });
    if ((stat?.mtimeMs ?? 0) !== before.mtimeMs || (stat?.size ?? 0) !== before.size || (stat?.ino ?? 0) !== before.inode) return true;
    if (before.content === '') return false;
    if (contentOf(path) !== before.content) return true;
    if (!isRacy(before.mtimeMs)) this.#files.set(path, { ...before, content: '' });
    return false;
  }

  /** Editors make and remove files of their own beside those that they save, so only names of code count. */
  #directoryChanged(path: string, before: DirectoryState): boolean {
    const mtimeMs = mtimeOf(path);
    if (mtimeMs === before.mtimeMs && !isRacy(mtimeMs)) return false;
    if (this.#namesIn(path) !== before.names) return true;
    this.#directories.set(path, { ...before, mtimeMs });
    return false;
  }

  #namesIn(path: string): string {
    if (mtimeOf(path) === 0) return '';
    // Logs and the like appear as directories in the root, and are nobody's code.
    const counts = (entry: { name: string; isDirectory(): boolean }): boolean =>
      CODE.test(entry.name) || (path !== this.#root && entry.isDirectory());
    return readdirSync(path, { withFileTypes: true }).filter((entry) => !entry.name.startsWith('.') && counts(entry)).map(({ name }) => name).sort().join('\n');
  }
}

function stateOf(path: string): FileState {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return { mtimeMs: 0, size: 0, inode: 0, content: '' };
  return { mtimeMs: stat.mtimeMs, size: stat.size, inode: stat.ino, content: isRacy(stat.mtimeMs) ? contentOf(path) : '' };
}

function isRacy(mtimeMs: number): boolean {
  return Date.now() - mtimeMs < TIME_STEP_MS;
}

function mtimeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** 'gone' for a file that an editor is just replacing. */
function contentOf(path: string): string {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('base64');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'gone';
    throw error;
  }
}
