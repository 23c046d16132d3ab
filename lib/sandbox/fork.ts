/**
 * The `fork` launcher: each sandbox is a fork of a revision template, which is a fork of a root template. It runs in the
 * agent, keeps both templates there, and makes them anew when they end.
 *
 * 1. A launch waits for the template where one is being made; it rejects where none can be made now, with the reason.
 * 2. A template is used only after a fork of it has passed `selfTest`.
 * 3. What failed is tried again no sooner than its back-off says; what was refused, not before the files change.
 */
import type { Reason } from '../fork/reason';
import type { ForkedProcess, Template } from '../fork/template';
import type { Clock, Timer } from '../support/clock';
import { CartonError, codeOf, describeWithCode } from '../support/errors';
import type { HostLog } from '../support/host_environment';
import { killGroup } from '../support/host_process';
import type { InstanceBoot } from '../protocol/control';
import { forkInstance } from './fork_instance';
import { ForksAhead } from './forks_ahead';
import type { Launcher, LauncherStatus, Sandbox } from './launcher';

export interface ForkOptions {
  /** Starts a root template. */
  readonly startRoot: () => Promise<Template>;
  /** Forks a template of the application from it. */
  readonly derive: (root: Template) => Promise<Template>;
  /** Has a fork answer once and end. Rejects where it does not. */
  readonly selfTest: (fork: ForkedProcess) => Promise<void>;
  /** Has the template see what its forks write, by one that does what instances do. */
  readonly study: (template: Template) => Promise<void>;
  /** Processes to keep forked ahead of time. */
  readonly ahead: number;
  /** Whether the machine, or the container, has hardly any memory left. */
  readonly isMemoryShort: () => boolean;
  readonly clock: Clock;
  readonly log: HostLog;
}

const FIRST_BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 60_000;
/** Milliseconds that a template must live for its end not to count as another failure in a row. */
const STEADY_MS = 10_000;

/** Milliseconds for a fork, which takes two, behind as many as may wait for the same template. */
const FORK_MS = 5_000;
/** Templates that a launch asks, one after the other, where each dies under it. */
const TRIES = 5;
/** Milliseconds by which a file's time may lie before the moment of its change. */
const FILE_TIME_STEP_MS = 20;
/** Milliseconds without a change after which a template is made for whoever comes next: a checkout changes many files. */
const QUIET_MS = 50;
/** Milliseconds without a launch, after which a template of an application gives way where memory is short. */
const UNUSED_MS = 10 * 60_000;
const LOOK_MS = 60_000;

/** What was under way may have ended by the next boot. */
function isPassing(error: CartonError & { readonly reasons?: readonly Reason[] }): boolean {
  return error.reasons?.every(({ kind }) => kind === 'request') === true;
}

/** A template that is there or on its way. */
class Slot {
  made: Promise<Template> | undefined;
  /** When its making began, by the wall clock, as files have it. */
  since = 0;
  failures = 0;
  /** What the last failure was; while `retryAt` lies ahead, or for ever. */
  error: CartonError | undefined;
  retryAt = 0;
}

export class ForkLauncher implements Launcher {
  readonly #options: ForkOptions;
  readonly #root = new Slot();
  readonly #revision = new Slot();
  /** The template that has not collected its garbage yet: the first caller is not to wait for that. */
  #uncollected: Template | undefined;
  /** Of the template that is there. */
  #ahead: ForksAhead | undefined;
  #waiting = 0;
  #usedAt: number;
  #retry: Timer | undefined;
  #quiet: Timer | undefined;
  readonly #look: Timer;
  #closed = false;

  constructor(options: ForkOptions) {
    this.#options = options;
    this.#usedAt = options.clock.now();
    this.#look = options.clock.every(LOOK_MS, () => this.#retireUnused());
  }

  async launch(boot: InstanceBoot): Promise<Sandbox> {
    this.#waiting += 1;
    this.#usedAt = this.#options.clock.now();
    try {
      return await this.#fork(boot);
    } finally {
      this.#waiting -= 1;
    }
  }

  /** Why nothing can be forked at the moment; undefined where it can, or where that is being found out. */
  get obstacle(): CartonError | undefined {
    return this.#revision.error ?? this.#root.error;
  }

  get status(): LauncherStatus {
    return { kind: 'fork', reason: this.obstacle === undefined ? null : describeWithCode(this.obstacle) };
  }

  replenish(): void {
    if (this.#closed) return;
    // Each is made where it is missing; what failed is told to the next launch.
    this.#make(this.#root, this.#options.startRoot).catch(() => undefined);
    this.#template().catch(() => undefined);
  }

  refresh(changedAt: number): void {
    // It was begun after the change, so it has it.
    if (this.#revision.made !== undefined && this.#revision.since > changedAt + FILE_TIME_STEP_MS) return;
    this.#retire();
    this.#quiet?.cancel();
    this.#quiet = this.#options.clock.after(QUIET_MS, () => this.replenish());
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#look.cancel();
    this.#quiet?.cancel();
    this.#retry?.cancel();
    this.#ahead?.close();
    const made = [this.#revision.made, this.#root.made];
    for (const slot of made) {
      const template = await slot?.catch(() => undefined);
      template?.close();
      await template?.ended;
    }
  }

  async #fork(boot: InstanceBoot): Promise<Sandbox> {
    for (let tries = 1; ; tries += 1) {
      const made = this.#template();
      const template = await made;
      try {
        return await this.#forkOf(template, boot);
      } catch (error) {
        if (codeOf(error) !== 'CARTON_FORK_ENDED' || this.#closed || tries === TRIES) throw error;
        // It died, or gave way, under this very request, maybe before that was noticed here.
        if (this.#revision.made === made) this.#revision.made = undefined;
      }
    }
  }

  async #forkOf(template: Template, boot: InstanceBoot): Promise<Sandbox> {
    // One that hangs ends by that, and the request with it.
    const late = this.#options.clock.after(FORK_MS, () => killGroup(template.pid));
    try {
      const sandbox = await forkInstance(template, boot, this.#ahead);
      this.#collect(template);
      this.#ahead?.replenishSoon();
      return sandbox;
    } finally {
      late.cancel();
    }
  }

  #collect(template: Template): void {
    if (this.#uncollected !== template) return;
    this.#uncollected = undefined;
    template.collect();
  }

  #template(): Promise<Template> {
    return this.#make(this.#revision, () => this.#makeRevision());
  }

  async #makeRevision(): Promise<Template> {
    const root = await this.#make(this.#root, this.#options.startRoot);
    const template = await this.#options.derive(root);
    try {
      await this.#options.selfTest(await template.fork(null));
    } catch (error) {
      template.close();
      throw error;
    }
    this.#uncollected = template;
    this.#ahead = new ForksAhead(template, { count: this.#options.ahead, study: () => this.#options.study(template), clock: this.#options.clock });
    // Whoever waits comes first.
    if (this.#waiting === 0) this.#collect(template);
    this.#ahead.replenishSoon();
    return template;
  }

  #make(slot: Slot, make: () => Promise<Template>): Promise<Template> {
    if (slot.made !== undefined) return slot.made;
    const { clock } = this.#options;
    if (slot.error !== undefined && clock.now() < slot.retryAt) return Promise.reject(slot.error);
    if (this.#closed) return Promise.reject(new CartonError('CARTON_FORK_ENDED'));
    slot.error = undefined;
    const since = clock.now();
    slot.since = clock.wall();
    const made = make();
    slot.made = made;
    made.then(
      (template) => void template.ended.then(() => this.#lost(slot, made, clock.now() - since)),
      (error: unknown) => this.#failed(slot, made, error),
    );
    return made;
  }

  /** A template ended by itself, or was killed. */
  #lost(slot: Slot, made: Promise<Template>, livedMs: number): void {
    if (slot.made !== made || this.#closed) return;
    this.#options.log.warn(`a template ended after ${Math.round(livedMs)} ms; another one is made`);
    slot.made = undefined;
    if (livedMs >= STEADY_MS) slot.failures = 0;
    else this.#backOff(slot, new CartonError('CARTON_FORK_ENDED'));
    this.#tryAgain(slot);
  }

  #failed(slot: Slot, made: Promise<Template>, error: unknown): void {
    if (slot.made !== made) return;
    slot.made = undefined;
    const failure = error instanceof CartonError ? error : new CartonError('CARTON_FORK_BOOT_FAILED', { got: describeWithCode(error), cause: error });
    // That the root failed is the root's to remember.
    if (slot === this.#revision && failure === this.#root.error) return;
    this.#backOff(slot, failure);
  }

  #backOff(slot: Slot, error: CartonError): void {
    slot.failures += 1;
    slot.error = error;
    const isFinal = error.code === 'CARTON_FORK_UNAVAILABLE' || (error.code === 'CARTON_FORK_REFUSED' && !isPassing(error));
    slot.retryAt = isFinal ? Infinity : this.#options.clock.now() + Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (slot.failures - 1));
  }

  #tryAgain(slot: Slot): void {
    this.#retry?.cancel();
    this.#retry = this.#options.clock.after(Math.max(0, slot.retryAt - this.#options.clock.now()), () => {
      // Timers may fire a little early.
      slot.retryAt = 0;
      this.replenish();
    });
  }

  /** The next launch makes it anew from the root. */
  #retireUnused(): void {
    const { clock, isMemoryShort, log } = this.#options;
    if (this.#revision.made === undefined || clock.now() - this.#usedAt < UNUSED_MS || !isMemoryShort()) return;
    log.info('memory is short: the template of the application, unused for a while, gives way');
    this.#retire();
  }

  #retire(): void {
    const { made } = this.#revision;
    this.#forget(this.#revision);
    this.#ahead?.close();
    made?.then((template) => template.close(), () => undefined);
  }

  #forget(slot: Slot): void {
    slot.made = undefined;
    slot.error = undefined;
    slot.failures = 0;
    slot.retryAt = 0;
  }
}
