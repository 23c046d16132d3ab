/**
 * The `spawn` launcher: each sandbox is a fresh Node process. It works everywhere, for every application, and every
 * other launcher falls back to it. In development it keeps one process booted ahead, so that a saved file takes effect
 * at once. It runs in the agent.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { CartonError, describe } from '../support/errors';
import type { HostLog } from '../support/host_environment';
import { killGroup, killRestOfGroup } from '../support/host_process';
import type { InstanceBoot, ProcessBoot } from '../protocol/control';
import { CHANNEL_FD } from './channel';
import { withoutInspector } from './flags';
import type { Launcher, LauncherStatus, Sandbox, SandboxExit } from './launcher';

export interface SpawnOptions {
  /** File of the function process: an entry of `lib/entry`. */
  readonly entry: string;
  /** Flags for Node, before the entry. */
  readonly execArgv: readonly string[];
  readonly process: Omit<ProcessBoot, keyof Loading>;
  /** How a process launched now is to load its code. @default from files */
  readonly loading?: () => Loading;
  /** Processes to keep booted ahead of time. */
  readonly spares: number;
  readonly log: HostLog;
  /** Why processes are spawned where they could be forked. @default nobody asked for another way */
  readonly reason?: string;
}

/** How a process loads its code. */
export type Loading = Pick<ProcessBoot, 'snapshot' | 'compileCache'>;

const FROM_FILES: Loading = { snapshot: null, compileCache: null };

/** A process that boots, or has booted, the application ahead of time. */
interface Spare {
  readonly startedAt: number;
  readonly sandbox: Promise<Sandbox>;
}

/** Milliseconds by which a file's time may lie before the moment of its change. */
const FILE_TIME_STEP_MS = 20;

export class SpawnLauncher implements Launcher {
  readonly status: LauncherStatus;
  readonly #options: SpawnOptions;
  readonly #spares = new Set<Spare>();
  #closed = false;

  constructor(options: SpawnOptions) {
    this.#options = options;
    this.status = { kind: 'spawn', reason: options.reason ?? null };
  }

  /** The boot itself travels over the channel; a process needs it only once its application is up. */
  async launch(_boot: InstanceBoot): Promise<Sandbox> {
    const [spare] = this.#spares;
    if (spare === undefined) return this.#spawn();
    this.#spares.delete(spare);
    return spare.sandbox;
  }

  replenish(): void {
    while (!this.#closed && this.#spares.size < this.#options.spares) this.#addSpare();
  }

  /** A spare says itself that it is outdated; ending it now saves the time that a request would wait for that. */
  refresh(changedAt: number): void {
    for (const spare of this.#spares) if (spare.startedAt <= changedAt + FILE_TIME_STEP_MS) void this.#drop(spare);
    this.replenish();
  }

  /** Ends what was booted ahead, until `replenish` or `refresh` boots it again. */
  dropSpares(): void {
    for (const spare of this.#spares) void this.#drop(spare);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#spares].map((spare) => this.#drop(spare)));
  }

  #addSpare(): void {
    const spare = { startedAt: Date.now(), sandbox: this.#spawn() };
    this.#spares.add(spare);
    spare.sandbox.then(
      // A spare whose application does not boot stays to tell why; one that ended by itself is no use.
      (sandbox) => void sandbox.exited.then(() => this.#spares.delete(spare)),
      (error: unknown) => {
        this.#spares.delete(spare);
        this.#options.log.warn(`no process could be started ahead of time: ${describe(error)}`);
      },
    );
  }

  async #drop(spare: Spare): Promise<void> {
    this.#spares.delete(spare);
    // One that could not be started has said so.
    const sandbox = await spare.sandbox.catch(() => undefined);
    sandbox?.kill();
    await sandbox?.exited;
  }

  #spawn(): Promise<Sandbox> {
    const { entry, execArgv, process: boot, loading } = this.#options;
    const argument: ProcessBoot = { ...boot, ...(loading?.() ?? FROM_FILES) };
    return spawnSandbox({ entry, execArgv, argument, cwd: boot.application.baseDir });
  }
}

export interface SpawnOrder {
  readonly entry: string;
  readonly execArgv: readonly string[];
  /** Goes to the entry as JSON. */
  readonly argument: unknown;
  readonly cwd: string;
}

/** Rejects with `CARTON_INSTANCE_LAUNCH_FAILED`. */
export function spawnSandbox({ entry, execArgv, argument, cwd }: SpawnOrder): Promise<Sandbox> {
  const child = spawn(process.execPath, [...execArgv, entry, JSON.stringify(argument)], {
    cwd,
    env: withoutInspector(process.env),
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    // A group of its own: a Ctrl-C in the terminal is the host's to handle, and a kill reaches what it started.
    detached: true,
  });
  child.unref();
  return sandboxOf(child);
}

function sandboxOf(child: ChildProcess): Promise<Sandbox> {
  const exited = new Promise<SandboxExit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  // Whatever way it ended, what it started ends with it.
  child.once('exit', () => killRestOfGroup(child.pid as number));
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => {
      reject(new CartonError('CARTON_INSTANCE_LAUNCH_FAILED', { expected: 'a new process', got: cause.message, cause }));
    });
    child.once('spawn', () => {
      const pid = child.pid as number;
      // Not before: without a descriptor left, Node makes no streams, and tells so by an event.
      const channel = child.stdio[CHANNEL_FD] as Socket;
      resolve({ pid, channel, exited, kill: () => killGroup(pid) });
    });
  });
}
