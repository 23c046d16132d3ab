/**
 * The directory in which a host's processes meet: sockets, begin records and the key from which tokens are derived.
 * One per host, named by the host's process, of mode 0700 and outside the application. Agent, workers and tools use it.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { CartonError, describe } from './errors';
import type { HostProcess } from './host_environment';
import { isAlive, killGroup } from './host_process';
import { LIMITS } from './limits';

/** Enough to tell the applications of one process apart; sockets' paths are short. */
const APPLICATION_DIGITS = 8;

/** Characters of an instance's id, at most: the paths of all sockets to come are known to be short enough at boot. */
const ID_CHARACTERS = 14;

/** What a token opens. `call` and `control` are an instance's and carry its id; `sidecar` carries what its holder may use. */
export type TokenPurpose = 'worker' | `call:${string}` | `control:${string}` | `sidecar:${string}`;

export class HostDirectory {
  readonly path: string;
  readonly #root: string;
  #created = false;
  #key: Buffer | undefined;

  /**
   * @param configured `carton.directory`; null for `<tmpdir>/egg-carton-<uid>`
   * @param baseDir the application's, because one process may host several, as tests and single mode do
   */
  constructor(configured: string | null, host: HostProcess, baseDir = '') {
    this.#root = configured ?? join(tmpdir(), `egg-carton-${userInfo().uid}`);
    const application = createHash('sha256').update(baseDir).digest('hex').slice(0, APPLICATION_DIGITS);
    this.path = join(this.#root, `${host.pid}-${host.startTime}-${application}`);
  }

  get agentSocket(): string {
    return this.#socket('agent');
  }

  instanceSocket(id: string): string {
    return this.#socket(id);
  }

  /** Where function processes keep a compile cache while there is no snapshot. */
  get compileCache(): string {
    return join(this.path, 'compile-cache');
  }

  /** What templates of the application are booted with: too much for a message. */
  get templatePath(): string {
    return join(this.path, 'template.json');
  }

  recordPath(id: string): string {
    return join(this.path, `${id}.rec`);
  }

  /**
   * Makes the directory and its key, or takes over what a former agent made.
   * Throws `CARTON_HOST_DIRECTORY_UNSAFE` or `CARTON_HOST_PATH_TOO_LONG`.
   */
  create(): void {
    this.#socket('x'.repeat(ID_CHARACTERS));
    makePrivate(this.#root, OTHERS_MAY_WRITE);
    makePrivate(this.path, OTHERS_MAY_DO_ANYTHING);
    this.#created = true;
    if (!existsSync(this.#keyPath)) writeWhole(this.#keyPath, randomBytes(32).toString('hex'));
  }

  /** Derives a token of 32 hexadecimal digits. Every holder of the key derives the same. */
  token(purpose: TokenPurpose): string {
    this.#key ??= readFileSync(this.#keyPath);
    return createHmac('sha256', this.#key).update(purpose).digest('hex').slice(0, 32);
  }

  /** Whether an agent has made the directory. */
  get exists(): boolean {
    return existsSync(this.#keyPath);
  }

  /** The next number in the count of this host's agents, from 1. */
  nextEpoch(): number {
    const path = join(this.path, 'epoch');
    const epoch = (existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0) + 1;
    writeWhole(path, String(epoch));
    return epoch;
  }

  /** Ids of the instances whose sockets are there, alive or not. */
  instanceIds(): string[] {
    return readdirSync(this.path)
      .filter((name) => name.endsWith('.sock') && name !== 'agent.sock')
      .map((name) => name.slice(0, -'.sock'.length))
      .filter((id) => !isSidecar(id));
  }

  /** Notes which process an instance is, for whoever has to end it when its agent cannot. */
  noteProcess(id: string, { pid, startTime }: HostProcess): void {
    writeWhole(join(this.path, `${id}${NOTE}`), `${pid} ${startTime}`);
  }

  /** The processes that were noted, alive or not, by the ids of their instances. */
  notedProcesses(): Map<string, HostProcess> {
    return notesIn(this.path);
  }

  removeInstance(id: string): void {
    for (const path of [this.instanceSocket(id), this.recordPath(id), join(this.path, `${id}${NOTE}`)]) rmSync(path, { force: true });
  }

  /** Does nothing where `create` did not succeed: what is there then is not ours. */
  remove(): void {
    if (this.#created) rmSync(this.path, { recursive: true, force: true });
  }

  /**
   * Removes what hosts left behind that ended without a chance to clean up, and ends their instances that still live:
   * one that spins does not notice that its host is gone.
   */
  sweep(): void {
    for (const name of readdirSync(this.#root)) {
      const match = /^(\d+)-(\d*)-[0-9a-f]+$/.exec(name);
      if (match === null) continue;
      if (isAlive({ pid: Number(match[1]), startTime: match[2] as string })) continue;
      const path = join(this.#root, name);
      for (const noted of notesIn(path).values()) if (isAlive(noted)) killGroup(noted.pid);
      rmSync(path, { recursive: true, force: true });
    }
  }

  get #keyPath(): string {
    return join(this.path, 'host.key');
  }

  #socket(name: string): string {
    const path = join(this.path, `${name}.sock`);
    const length = Buffer.byteLength(path);
    if (length > LIMITS.socketPathBytes) {
      throw new CartonError('CARTON_HOST_PATH_TOO_LONG', { of: path, expected: `at most ${LIMITS.socketPathBytes} bytes`, got: `${length}` });
    }
    return path;
  }
}

/** Digits of the hash that tells sidecars apart. */
const SIDECAR_DIGITS = 8;

/** The id of a sidecar, in the place of an instance's: one for each name and configuration. */
export function sidecarId(hash: string): string {
  return `s-${hash.slice(0, SIDECAR_DIGITS)}`;
}

/** Instances' ids begin with the epoch of their agent. */
export function isSidecar(id: string): boolean {
  return id.startsWith('s-');
}

/** Name's end of the files that say which process an instance is. */
const NOTE = '.pid';

function notesIn(path: string): Map<string, HostProcess> {
  const notes = new Map<string, HostProcess>();
  for (const name of unlessGone(() => readdirSync(path), [])) {
    if (!name.endsWith(NOTE)) continue;
    const [pid, startTime] = unlessGone(() => readFileSync(join(path, name), 'utf8'), '').split(' ');
    // Without a start time a pid that is used again would be taken for the instance.
    if (Number(pid) > 1 && startTime !== undefined && startTime !== '') notes.set(name.slice(0, -NOTE.length), { pid: Number(pid), startTime });
  }
  return notes;
}

/** Two hosts that start at once sweep the same leavings. */
function unlessGone<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return otherwise;
    throw error;
  }
}

/** A reader, and whoever comes after a crash, finds the whole file or none. */
function writeWhole(path: string, text: string): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, path);
}

const OTHERS_MAY_WRITE = 0o022;
const OTHERS_MAY_DO_ANYTHING = 0o077;

/** Another user's directory under a name that we are about to trust would hand over every session. */
function makePrivate(path: string, forbidden: number): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    assertPrivate(path, forbidden);
  } catch (cause) {
    if (cause instanceof CartonError) throw cause;
    throw new CartonError('CARTON_HOST_DIRECTORY_UNSAFE', { of: path, expected: 'a directory that this user can make and use', got: describe(cause), cause });
  }
}

/** A mode that others can use is never mended here: the directory may serve others, as the one for temporary files does. */
function assertPrivate(path: string, forbidden: number): void {
  const stat = lstatSync(path);
  const uid = userInfo().uid;
  const got = !stat.isDirectory() ? 'another kind of file'
    : stat.uid !== uid ? `one of user ${stat.uid}`
    : (stat.mode & forbidden) !== 0 ? `mode ${(stat.mode & 0o7777).toString(8)}`
    : undefined;
  if (got === undefined) return;
  throw new CartonError('CARTON_HOST_DIRECTORY_UNSAFE', { of: path, expected: `a directory that only user ${uid} can write to`, got });
}
