/**
 * Keeps one sidecar alive: takes over the one that a former agent has left, starts one where there is none, and another
 * one whenever it has ended. Runs in the agent.
 *
 * Guarantees, each with a test that names it:
 * 1. There is never more than one process of it at a time, whatever becomes of agents.
 * 2. One that ends is replaced at once; where that goes on, with pauses that double up to `MAX_PAUSE_MS`.
 * 3. After `close` there is none, at the latest after its `drainTimeoutMs`.
 */
import type { Clock, Timer } from '../support/clock';
import { CartonError, describe, type WireError } from '../support/errors';
import type { HostDirectory } from '../support/host_directory';
import type { HostLog } from '../support/host_environment';
import { isAlive, killGroup } from '../support/host_process';
import type { SidecarBoot } from '../protocol/sidecar';
import type { Sandbox } from '../sandbox/launcher';
import { addressOf } from './boot';
import { LiveInstance, type InstanceListener } from './live_instance';
import { noteProcess } from './note_process';

export interface SidecarKeeperOptions {
  readonly boot: SidecarBoot;
  readonly directory: HostDirectory;
  readonly launch: (boot: SidecarBoot) => Promise<Sandbox>;
  /** Milliseconds from its start until it serves; then it is ended, and another one is started. */
  readonly launchTimeoutMs: number;
  readonly clock: Clock;
  readonly log: HostLog;
}

const FIRST_PAUSE_MS = 100;
/** Short, because functions wait; long enough for a boot that fails not to take a whole processor. */
const MAX_PAUSE_MS = 2_000;
/** Milliseconds that one must live for its end not to count as another failure in a row. */
const STEADY_MS = 10_000;

/** For people. */
export interface SidecarStatus {
  readonly name: string;
  readonly state: 'starting' | 'ready' | 'waiting' | 'ended';
  readonly pid: number | null;
  /** Times that it was started again. */
  readonly restarts: number;
  /** Why it is not there. */
  readonly error: string | null;
}

export class SidecarKeeper implements InstanceListener {
  readonly #options: SidecarKeeperOptions;
  #live: LiveInstance | undefined;
  #isReady = false;
  #isStarted = false;
  #isClosed = false;
  #startedAt = 0;
  #failures = 0;
  #restarts = 0;
  #error: string | null = null;
  #timer: Timer | undefined;
  #starting: Promise<void> | undefined;
  #onEnd: () => void = () => undefined;

  constructor(options: SidecarKeeperOptions) {
    this.#options = options;
  }

  get status(): SidecarStatus {
    const state = this.#live !== undefined ? (this.#isReady ? 'ready' : 'starting') : this.#isClosed ? 'ended' : 'waiting';
    return { name: this.#options.boot.name, state, pid: this.#live?.pid ?? null, restarts: this.#restarts, error: this.#error };
  }

  /** Does nothing the second time. */
  start(): void {
    if (this.#isStarted || this.#isClosed) return;
    this.#isStarted = true;
    this.#starting = this.#adopt().then((isAdopted) => (isAdopted ? undefined : this.#launch()));
  }

  reloadLogs(): void {
    this.#live?.reloadLogs();
  }

  /** One that ends from now on is not replaced. */
  retire(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  /** Resolves when it has ended. */
  async close(): Promise<void> {
    this.retire();
    // One that is on its way is ended as soon as it is there.
    await this.#starting;
    const live = this.#live;
    if (live === undefined) return;
    const { boot, clock } = this.#options;
    const ended = new Promise<void>((resolve) => (this.#onEnd = resolve));
    live.drain();
    const late = clock.after(this.#isReady ? boot.drainTimeoutMs : 0, () => live.kill());
    await ended;
    late.cancel();
  }

  onReady(): void {
    const { boot: { name }, clock, log } = this.#options;
    this.#isReady = true;
    this.#error = null;
    this.#timer?.cancel();
    log.info(`sidecar ${name} (pid ${this.#live?.pid}) serves after ${Math.round(clock.now() - this.#startedAt)} ms`);
  }

  onLoad(): void {
    // It reports none.
  }

  onStale(): void {
    // Its files are looked at when the host starts.
  }

  onEnded(instance: LiveInstance, end: { failure?: WireError; bySignal: boolean }): void {
    if (instance !== this.#live) return;
    const { boot: { id }, directory } = this.#options;
    this.#live = undefined;
    directory.removeInstance(id);
    if (this.#isClosed) return this.#onEnd();
    this.#ended(end.failure?.message ?? (end.bySignal ? 'ended by a signal' : 'ended by itself'));
  }

  /** Whether a former agent has left one that answers. One that does not is ended. */
  async #adopt(): Promise<boolean> {
    const { boot: { id, hash, name }, directory, clock, log } = this.#options;
    const noted = directory.notedProcesses().get(id);
    if (noted === undefined || !isAlive(noted)) return false;
    try {
      const { instance, ready } = await LiveInstance.adopted(addressOf(directory, id), directory.token(`control:${id}`), clock, this);
      if (instance.isEnded || this.#isClosed) throw new CartonError('CARTON_RPC_CLOSED');
      if (ready.revision !== hash) throw new CartonError('CARTON_RPC_BAD_FRAME', { of: `sidecar ${name}`, expected: hash, got: ready.revision });
      this.#live = instance;
      this.#isReady = true;
      this.#startedAt = clock.now();
      log.info(`adopted sidecar ${name} (pid ${instance.pid}) of a former agent`);
      return true;
    } catch (error) {
      log.info(`sidecar ${name} of a former agent does not answer: ${describe(error)}`);
      if (isAlive(noted)) killGroup(noted.pid);
      return false;
    }
  }

  async #launch(): Promise<void> {
    if (this.#isClosed) return;
    const { boot, directory, launch, launchTimeoutMs, clock, log } = this.#options;
    this.#startedAt = clock.now();
    this.#isReady = false;
    directory.removeInstance(boot.id);
    try {
      const sandbox = await launch(boot);
      const live = LiveInstance.started(sandbox, { address: addressOf(directory, boot.id), group: boot.name }, clock, this);
      this.#live = live;
      noteProcess(directory, boot.id, { pid: sandbox.pid, log });
      if (this.#isClosed) return;
      this.#timer = clock.after(launchTimeoutMs, () => {
        log.error(`sidecar ${boot.name} does not serve within ${launchTimeoutMs} ms`);
        live.kill();
      });
    } catch (error) {
      this.#ended(describe(error));
    }
  }

  #ended(why: string): void {
    const { boot: { name }, clock, log } = this.#options;
    this.#timer?.cancel();
    this.#error = why;
    const livedMs = clock.now() - this.#startedAt;
    this.#failures = this.#isReady && livedMs >= STEADY_MS ? 0 : this.#failures + 1;
    this.#isReady = false;
    const pauseMs = this.#failures <= 1 ? 0 : Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#failures - 2));
    log.error(`sidecar ${name} has ended after ${Math.round(livedMs)} ms (${why}); another one is started${pauseMs === 0 ? '' : ` in ${pauseMs} ms`}`);
    this.#restarts += 1;
    this.#timer = clock.after(pauseMs, () => (this.#starting = this.#launch()));
  }
}
