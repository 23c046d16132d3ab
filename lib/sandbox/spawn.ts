/**
 * The `spawn` launcher: each sandbox is a fresh Node process. It works everywhere, for every application, and every
 * other launcher falls back to it. In development it keeps one process booted ahead, so that a saved file takes effect
 * at once. It runs in the agent.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { CartonError, describe } from '../support/errors';
import type { HostLog } from '../support/host_environment';
import type { InstanceBoot, ProcessBoot } from '../protocol/control';
import { CHANNEL_FD } from './channel';
import type { Launcher, Sandbox, SandboxExit } from './launcher';

export interface SpawnOptions {
  /** File of the function process: an entry of `lib/entry`. */
  readonly entry: string;
  /** Flags for Node, before the entry. */
  readonly execArgv: readonly string[];
  readonly process: ProcessBoot;
  /** Processes to keep booted ahead of time. */
  readonly spares: number;
  readonly log: HostLog;
}

export class SpawnLauncher implements Launcher {
  readonly kind = 'spawn';
  readonly #options: SpawnOptions;
  #spares: Sandbox[] = [];
  #closed = false;

  constructor(options: SpawnOptions) {
    this.#options = options;
  }

  /** The boot itself travels over the channel; a process needs it only once its application is up. */
  async launch(_boot: InstanceBoot): Promise<Sandbox> {
    const spare = this.#spares.shift();
    if (this.#options.spares > 0) setImmediate(() => this.#refill());
    return spare ?? this.#spawn();
  }

  refresh(): void {
    const old = this.#spares;
    this.#spares = [];
    for (const spare of old) spare.kill();
    this.#refill();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const old = this.#spares;
    this.#spares = [];
    for (const spare of old) spare.kill();
    await Promise.all(old.map((spare) => spare.exited));
  }

  #refill(): void {
    while (!this.#closed && this.#spares.length < this.#options.spares) {
      this.#spawn().then(
        (spare) => this.#watchSpare(spare),
        (error: unknown) => this.#options.log.warn(`no process could be started ahead of time: ${describe(error)}`),
      );
      return;
    }
  }

  #watchSpare(spare: Sandbox): void {
    if (this.#closed) return spare.kill();
    this.#spares.push(spare);
    // A spare whose application does not boot stays to tell why; one that ended by itself is no use.
    void spare.exited.then(() => {
      this.#spares = this.#spares.filter((other) => other !== spare);
    });
  }

  #spawn(): Promise<Sandbox> {
    const { entry, execArgv, process: boot } = this.#options;
    const child = spawn(process.execPath, [...execArgv, entry, JSON.stringify(boot)], {
      cwd: boot.application.baseDir,
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
      // A group of its own: a Ctrl-C in the terminal is the host's to handle, and a kill reaches what it started.
      detached: true,
    });
    child.unref();
    return sandboxOf(child);
  }
}

function sandboxOf(child: ChildProcess): Promise<Sandbox> {
  const channel = child.stdio[CHANNEL_FD] as Socket;
  const exited = new Promise<SandboxExit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => {
      reject(new CartonError('CARTON_INSTANCE_LAUNCH_FAILED', { expected: 'a new process', got: cause.message, cause }));
    });
    child.once('spawn', () => {
      const pid = child.pid as number;
      resolve({ pid, channel, exited, kill: () => killGroup(pid) });
    });
  });
}

/** Ends a process and its group at once; one that has ended already is fine. */
export function killGroup(pid: number): void {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
