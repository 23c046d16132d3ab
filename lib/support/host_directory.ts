/**
 * The directory in which a host's processes meet: sockets, begin records and the key from which tokens are derived.
 * One per host, named by the host's process, of mode 0700 and outside the application. Agent, workers and tools use it.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { CartonError } from './errors';
import type { HostProcess } from './host_environment';
import { isAlive } from './host_process';
import { LIMITS } from './limits';

/** Enough to tell the applications of one process apart; sockets' paths are short. */
const APPLICATION_DIGITS = 8;

/** What a token opens. `call` and `control` are an instance's and carry its id. */
export type TokenPurpose = 'worker' | `call:${string}` | `control:${string}`;

export class HostDirectory {
  readonly path: string;
  readonly #root: string;

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

  recordPath(id: string): string {
    return join(this.path, `${id}.rec`);
  }

  /** Makes the directory and its key, or takes over what a former agent made. Throws `CARTON_HOST_DIRECTORY_UNSAFE`. */
  create(): void {
    for (const path of [this.#root, this.path]) {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      assertPrivate(path);
    }
    if (!existsSync(this.#keyPath)) writeFileSync(this.#keyPath, randomBytes(32).toString('hex'), { flag: 'wx', mode: 0o600 });
  }

  /** Derives a token of 32 hexadecimal digits. Every holder of the key derives the same. */
  token(purpose: TokenPurpose): string {
    return createHmac('sha256', readFileSync(this.#keyPath)).update(purpose).digest('hex').slice(0, 32);
  }

  /** Whether an agent has made the directory. */
  get exists(): boolean {
    return existsSync(this.#keyPath);
  }

  /** The next number in the count of this host's agents, from 1. */
  nextEpoch(): number {
    const path = join(this.path, 'epoch');
    const epoch = (existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0) + 1;
    writeFileSync(path, String(epoch), { mode: 0o600 });
    return epoch;
  }

  /** Ids of the instances whose sockets are there, alive or not. */
  instanceIds(): string[] {
    return readdirSync(this.path)
      .filter((name) => name.endsWith('.sock') && name !== 'agent.sock')
      .map((name) => name.slice(0, -'.sock'.length));
  }

  removeInstance(id: string): void {
    rmSync(this.instanceSocket(id), { force: true });
    rmSync(this.recordPath(id), { force: true });
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  /** Removes what hosts left behind that ended without a chance to clean up. */
  sweep(): void {
    for (const name of readdirSync(this.#root)) {
      const match = /^(\d+)-(\d*)-[0-9a-f]+$/.exec(name);
      if (match === null) continue;
      if (!isAlive({ pid: Number(match[1]), startTime: match[2] as string })) rmSync(join(this.#root, name), { recursive: true, force: true });
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

/** Another user's directory under a name that we are about to trust would hand over every session. */
function assertPrivate(path: string): void {
  const stat = lstatSync(path);
  const uid = userInfo().uid;
  if (!stat.isDirectory() || stat.uid !== uid) {
    throw new CartonError('CARTON_HOST_DIRECTORY_UNSAFE', { of: path, expected: `a directory of user ${uid}`, got: stat.isDirectory() ? `one of user ${stat.uid}` : 'another kind of file' });
  }
  if ((stat.mode & 0o077) !== 0) chmodSync(path, 0o700);
}
