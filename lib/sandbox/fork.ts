/**
 * The `fork` launcher: each sandbox is a fork of a revision template, which is a fork of a root template. It runs in the
 * agent, keeps both templates there, and makes them anew when they end.
 *
 * 1. A launch waits for the template where one is being made; it rejects where none can be made now, with the reason.
 * 2. What is launched is told to nobody before a fork of the same template has answered `selfTest`, and the template is
 *    used no longer once that fork does not end well.
 * 3. What failed is tried again when its back-off says, and no sooner; what was refused, not before the files change.
 * 4. `close` ends at once what is being made, and all that was made.
 */
import type { ForkedProcess, Template } from '../fork/template';
import type { Clock, Timer } from '../support/clock';
import { codeOf, describeWithCode, type CartonError } from '../support/errors';
import type { HostLog } from '../support/host_environment';
import type { InstanceBoot } from '../protocol/control';
import { dropInstance, forkInstance } from './fork_instance';
import { ForksAhead } from './forks_ahead';
import type { Launcher, LauncherStatus, Sandbox } from './launcher';
import { Slot } from './slot';

export interface ForkOptions {
  /** Starts a root template. Aborted, it ends what it has started, and rejects. */
  readonly startRoot: (signal: AbortSignal) => Promise<Template>;
  /** Forks a template of the application from it. Aborted, it does as `startRoot`. */
  readonly derive: (root: Template, order: DeriveOrder) => Promise<Derived>;
  /** Has a fork answer once and end. Rejects where it does not answer. */
  readonly selfTest: (fork: ForkedProcess) => Promise<SelfTest>;
  /** Has the template see what its forks write, by one that does what instances do. */
  readonly study: (template: Template) => Promise<void>;
  /** Processes to keep forked ahead of time. */
  readonly ahead: number;
  /** Whether the machine, or the container, has hardly any memory left. */
  readonly isMemoryShort: () => boolean;
  readonly clock: Clock;
  readonly log: HostLog;
}

export interface DeriveOrder {
  /** Somebody may wait for it: what only makes forks faster may be left out. */
  readonly isQuick: boolean;
  readonly signal: AbortSignal;
}

export interface Derived {
  readonly template: Template;
  /** Nothing was left out. */
  readonly isWhole: boolean;
}

export interface SelfTest {
  /** Rejects where the fork that has answered does not end as it should. */
  readonly ended: Promise<void>;
}

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

export class ForkLauncher implements Launcher {
  readonly #options: ForkOptions;
  readonly #root: Slot;
  readonly #revision: Slot;
  /** The template that has not collected its garbage yet: the first caller is not to wait for that. */
  #uncollected: Template | undefined;
  /** Rejects for those that did not pass. */
  readonly #tested = new WeakMap<Template, Promise<void>>();
  /** They end with their templates. */
  readonly #ahead = new WeakMap<Template, ForksAhead>();
  #waiting = 0;
  #usedAt: number;
  #quiet: Timer | undefined;
  readonly #look: Timer;
  /** Aborted by `close`. */
  readonly #closing = new AbortController();

  constructor(options: ForkOptions) {
    const { clock, log } = options;
    const onDue = (): void => this.replenish();
    this.#options = options;
    this.#root = new Slot({ make: () => options.startRoot(this.#closing.signal), onDue, clock, log });
    this.#revision = new Slot({ make: () => this.#makeRevision({ isQuick: true }), proof: (template) => this.#tested.get(template), root: this.#root, onDue, clock, log });
    this.#usedAt = clock.now();
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
    return this.#revision.obstacle ?? this.#root.obstacle;
  }

  /** The reason is that of the last failure, until a template is ready again. */
  get status(): LauncherStatus {
    const error = this.#revision.error ?? this.#root.error;
    return { kind: 'fork', reason: error === undefined ? null : describeWithCode(error) };
  }

  replenish(): void {
    if (this.#isClosed) return;
    // Each is made where it is missing; what failed is told to the next launch.
    this.#root.take().catch(() => undefined);
    this.#revision.take().then((template) => this.#ahead.get(template)?.replenishSoon(), () => undefined);
  }

  refresh(changedAt: number): void {
    // It was begun after the change, so it has it.
    if (this.#isClosed || (this.#revision.since ?? 0) > changedAt + FILE_TIME_STEP_MS) return;
    this.#revision.dismiss();
    this.#quiet?.cancel();
    this.#quiet = this.#options.clock.after(QUIET_MS, () => this.replenish());
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#look.cancel();
    this.#quiet?.cancel();
    // The root tells how those end that were forked from it.
    await this.#revision.close();
    await this.#root.close();
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  async #fork(boot: InstanceBoot): Promise<Sandbox> {
    for (let tries = 1; ; tries += 1) {
      const made = this.#revision.take();
      const template = await made;
      try {
        return await this.#forkOf(template, boot);
      } catch (error) {
        if (codeOf(error) !== 'CARTON_FORK_ENDED' || this.#isClosed || tries === TRIES) throw error;
        // It died, or gave way, under this very request, maybe before that was noticed here.
        this.#revision.forget(made);
      }
    }
  }

  async #forkOf(template: Template, boot: InstanceBoot): Promise<Sandbox> {
    const forking = this.#inTime(template, forkInstance(template, boot, this.#ahead.get(template)));
    try {
      const [sandbox] = await Promise.all([forking, this.#tested.get(template)]);
      this.#collect(template);
      this.#ahead.get(template)?.replenishSoon();
      return sandbox;
    } catch (error) {
      await forking.then((sandbox) => dropInstance(sandbox, boot), () => undefined);
      throw error;
    }
  }

  /** One that hangs ends by that, and the request with it. */
  async #inTime<T>(template: Template, asked: Promise<T>): Promise<T> {
    const late = this.#options.clock.after(FORK_MS, () => template.kill());
    try {
      return await asked;
    } finally {
      late.cancel();
    }
  }

  #collect(template: Template): void {
    if (this.#uncollected !== template) return;
    this.#uncollected = undefined;
    template.collect();
  }

  async #makeRevision({ isQuick }: { isQuick: boolean }): Promise<Template> {
    const root = await this.#root.take();
    const { template, isWhole } = await this.#options.derive(root, { isQuick, signal: this.#closing.signal });
    const tested = this.#test(template).then(() => this.#prepare(template, isWhole));
    this.#tested.set(template, tested);
    tested.catch(() => undefined);
    // Whoever waits has a fork meanwhile.
    if (!isQuick) await tested;
    return template;
  }

  /** Whatever makes forks smaller and faster; whoever waits for one comes first. */
  #prepare(template: Template, isWhole: boolean): void {
    const { ahead: count, study, clock } = this.#options;
    const before = async (): Promise<void> => {
      // It moves what is then studied.
      this.#collect(template);
      // One that is not whole is replaced.
      if (!isWhole) await this.#revision.renew(() => this.#makeRevision({ isQuick: false }));
      else if (count > 0) await study(template);
    };
    const ahead = new ForksAhead(template, { count, before, clock });
    this.#uncollected = template;
    this.#ahead.set(template, ahead);
    if (this.#waiting === 0) this.#collect(template);
    ahead.replenishSoon();
  }

  /** Rejects once the template has ended, where its fork does not pass; no other launch gets it then. */
  async #test(template: Template): Promise<void> {
    const { signal } = this.#closing;
    let fork: ForkedProcess | undefined;
    const end = (): void => {
      template.close();
      fork?.kill();
    };
    signal.addEventListener('abort', end);
    if (this.#isClosed) end();
    try {
      fork = await this.#inTime(template, template.fork(null));
      const { ended } = await this.#options.selfTest(fork);
      ended.catch((error: unknown) => this.#revision.condemn(template, error));
    } catch (error) {
      this.#revision.condemn(template, error);
      end();
      await template.left;
      throw error;
    } finally {
      signal.removeEventListener('abort', end);
    }
  }

  /** The next launch makes it anew from the root. */
  #retireUnused(): void {
    const { clock, isMemoryShort, log } = this.#options;
    if (this.#revision.since === undefined || clock.now() - this.#usedAt < UNUSED_MS || !isMemoryShort()) return;
    log.info('memory is short: the template of the application, unused for a while, gives way');
    this.#revision.dismiss();
  }
}
