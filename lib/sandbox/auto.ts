/**
 * The launcher that a host uses by default: forks where that is possible, and spawns where it is not, saying why. It
 * runs in the agent.
 */
import { codeOf, describeWithCode, type CartonError, type ErrorCode } from '../support/errors';
import type { HostLog } from '../support/host_environment';
import type { InstanceBoot } from '../protocol/control';
import type { ForkLauncher } from './fork';
import type { Launcher, LauncherStatus, Sandbox } from './launcher';
import type { SpawnLauncher } from './spawn';

export interface AutoOptions {
  readonly fork: ForkLauncher;
  readonly spawn: SpawnLauncher;
  readonly log: HostLog;
}

/** There is no template to fork from; a fork that fails, for want of memory say, would fail as a new process too. */
const NO_TEMPLATE: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode>([
  'CARTON_FORK_BOOT_FAILED', 'CARTON_FORK_ENDED', 'CARTON_FORK_REFUSED', 'CARTON_FORK_TIMEOUT', 'CARTON_FORK_UNAVAILABLE',
]);

export class AutoLauncher implements Launcher {
  readonly #options: AutoOptions;
  #told: CartonError | undefined;
  #closed = false;

  constructor(options: AutoOptions) {
    this.#options = options;
  }

  get status(): LauncherStatus {
    const { fork } = this.#options;
    // While it is found out whether forks are possible again, launches wait for that.
    return { kind: fork.obstacle === undefined ? 'fork' : 'spawn', reason: fork.status.reason };
  }

  async launch(boot: InstanceBoot): Promise<Sandbox> {
    const { fork, spawn } = this.#options;
    try {
      const sandbox = await fork.launch(boot);
      this.#told = undefined;
      // Whatever was booted ahead while nothing could be forked is not needed any more.
      spawn.dropSpares();
      return sandbox;
    } catch (error) {
      if (this.#closed || !NO_TEMPLATE.has(codeOf(error))) throw error;
      this.#tell(error as CartonError);
      return spawn.launch(boot);
    }
  }

  replenish(): void {
    if (this.#options.fork.obstacle === undefined) this.#options.fork.replenish();
    else this.#options.spawn.replenish();
  }

  refresh(changedAt: number): void {
    // What was refused may be possible with other files; until that is known, processes booted ahead serve.
    if (this.#options.fork.obstacle !== undefined) this.#options.spawn.refresh(changedAt);
    this.#options.fork.refresh(changedAt);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#options.fork.close(), this.#options.spawn.close()]);
  }

  /** Once for each reason. */
  #tell(error: CartonError): void {
    if (error.message === this.#told?.message) return;
    this.#told = error;
    this.#options.log.warn(`instances are spawned: ${describeWithCode(error)}`);
  }
}
