/**
 * An application under egg-cluster in production, as egg-scripts starts it: with the plugin a host, without it a stock
 * one. Tells which of its processes is what. Whoever starts it stops it; then no process of it is left.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from '../../scripts/support/child';
import { freePort } from '../../scripts/support/free_port';
import { livingOf, readProcFile, statFields, treeOf } from '../../scripts/support/processes';

export interface EggHostOptions {
  readonly baseDir: string;
  readonly env: Readonly<Record<string, string>>;
  /** @default 1 */
  readonly workers?: number;
}

/** Its processes by what they are; `host` are master, agent and workers. */
export interface HostProcesses {
  readonly host: number[];
  readonly workers: number[];
  readonly root: number | undefined;
  readonly revision: number | undefined;
  /** Forks that wait to become instances. */
  readonly ahead: number[];
  readonly instances: number[];
}

const MASTER = join(__dirname, '../../scripts/support/egg_master.js');
const STOP_MS = 10_000;
const LOOK_MS = 10;
/** Milliseconds for what has been asked to go: a thousand instances end one after the other. */
const GONE_MS = 60_000;
/** Place of the parent's pid in /proc/<pid>/stat, counted from the state on. */
const PARENT_FIELD = 1;

const INSTANCE = /^egg-carton [^:]/;
const ROOT = /^egg-carton: root template/;
const REVISION = /^egg-carton: (?:quick )?template of /;
const AHEAD = /^egg-carton: fork ahead/;
const WORKER = /app_worker/;

export class EggHost {
  readonly port: number;
  readonly #master: Child;

  private constructor(port: number, master: Child) {
    this.port = port;
    this.#master = master;
  }

  /** Resolves once agent and workers are ready; templates may still be booting. */
  static async start({ baseDir, env, workers = 1 }: EggHostOptions): Promise<EggHost> {
    const port = await freePort();
    const host = new EggHost(port, new Child(MASTER, { args: [baseDir, String(port), String(workers)], env, detached: true }));
    try {
      await host.#master.message();
      return host;
    } catch (error) {
      await host.stop();
      throw error;
    }
  }

  get processes(): HostProcesses {
    const found = { host: [] as number[], workers: [] as number[], ahead: [] as number[], instances: [] as number[], root: undefined as number | undefined, revision: undefined as number | undefined };
    for (const pid of treeOf(this.#master.pid)) {
      const command = commandOf(pid);
      // A fork that does not know yet whom it serves has its template's name.
      const isRevision = REVISION.test(command);
      if (ROOT.test(command)) found.root = pid;
      else if (isRevision && parentOf(pid) === found.root) found.revision = pid;
      else if (AHEAD.test(command)) found.ahead.push(pid);
      else if (isRevision || INSTANCE.test(command)) found.instances.push(pid);
      else found.host.push(pid);
      if (WORKER.test(command)) found.workers.push(pid);
    }
    return found;
  }

  /** Instances whose title is such. */
  instancesNamed(title: RegExp): number[] {
    return this.processes.instances.filter((pid) => title.test(commandOf(pid)));
  }

  get pids(): number[] {
    return treeOf(this.#master.pid);
  }

  /** Resolves once no instance is left. */
  async empty(): Promise<void> {
    const deadline = performance.now() + GONE_MS;
    while (this.processes.instances.length > 0) {
      if (performance.now() > deadline) throw new Error(`expected instances to be reclaimed within ${GONE_MS} ms, and ${this.processes.instances.length} are left`);
      await sleep(LOOK_MS);
    }
  }

  /** Resolves once a fork waits for the next launch: all that the host does by itself is done. */
  async prepared(): Promise<void> {
    const deadline = performance.now() + GONE_MS;
    while (this.processes.ahead.length === 0) {
      if (performance.now() > deadline) throw new Error(`expected a fork ahead of time within ${GONE_MS} ms`);
      await sleep(LOOK_MS);
    }
  }

  async stop(): Promise<void> {
    const pids = new Set(this.pids);
    await this.#master.end(STOP_MS);
    for (let left = livingOf(pids); left.length > 0; left = livingOf(pids)) {
      for (const pid of left) kill(pid);
      await sleep(LOOK_MS);
    }
  }
}

/** Kills a process at once; one that has ended already is fine. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function commandOf(pid: number): string {
  return readProcFile(pid, 'cmdline')?.split('\0').join(' ') ?? '';
}

function parentOf(pid: number): number {
  return Number(statFields(pid)?.[PARENT_FIELD]);
}
