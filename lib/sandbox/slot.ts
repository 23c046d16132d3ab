/**
 * One of the templates that the `fork` launcher keeps: it is there, on its way, or has failed and is tried again later.
 * Runs in the agent.
 */
import type { Reason } from '../fork/reason';
import type { Template } from '../fork/template';
import type { Clock, Timer } from '../support/clock';
import { CartonError, describeWithCode } from '../support/errors';
import type { HostLog } from '../support/host_environment';

export interface SlotOptions {
  readonly make: () => Promise<Template>;
  /** Resolves once it is known to be good; where it is not, it is condemned. @default at once */
  readonly proof?: (template: Template) => Promise<void> | undefined;
  /** The template that this one is forked from: what failed there is not this one's failure. */
  readonly root?: Slot;
  /** It ended or failed, and may be made again from now on. */
  readonly onDue: () => void;
  readonly clock: Clock;
  readonly log: HostLog;
}

const FIRST_BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 60_000;
/** Milliseconds that a template must live for its end not to count as another failure in a row. */
const STEADY_MS = 10_000;

/** What was under way may have ended by the next boot. */
function isPassing(error: CartonError & { readonly reasons?: readonly Reason[] }): boolean {
  return error.reasons?.every(({ kind }) => kind === 'request') === true;
}

function endOf(template: Template): Promise<void> {
  template.close();
  return template.left;
}

export class Slot {
  readonly #options: SlotOptions;
  #made: Promise<Template> | undefined;
  #since = 0;
  #failures = 0;
  #error: CartonError | undefined;
  #retryAt = 0;
  #retry: Timer | undefined;
  /** Templates that nobody uses any more. */
  readonly #ending = new Set<Promise<void>>();
  #closed = false;

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  /** When the making of what is there, or on its way, began: by the wall clock, as files have it. */
  get since(): number | undefined {
    return this.#made === undefined ? undefined : this.#since;
  }

  /** The last failure, until a template is ready again. */
  get error(): CartonError | undefined {
    return this.#error;
  }

  /** Why none can be had now; undefined where it can, or where that is being found out. */
  get obstacle(): CartonError | undefined {
    return this.#options.clock.now() < this.#retryAt ? this.#error : undefined;
  }

  /** The one that is there, or on its way, or that is made now. */
  take(): Promise<Template> {
    if (this.#made !== undefined) return this.#made;
    if (this.#closed) return Promise.reject(new CartonError('CARTON_FORK_ENDED'));
    const { clock, make } = this.#options;
    const { obstacle } = this;
    if (obstacle !== undefined) return Promise.reject(obstacle);
    this.#retry?.cancel();
    const since = clock.now();
    this.#since = clock.wall();
    const made = make();
    this.#made = made;
    made.then(
      (template) => {
        Promise.resolve(this.#options.proof?.(template)).then(() => {
          if (this.#made === made) this.#error = undefined;
        }, () => undefined);
        void template.ended.then(() => this.#lost(made, clock.now() - since));
      },
      (error: unknown) => this.#failed(made, error),
    );
    return made;
  }

  /** Has another one made while the present one serves, and puts it in its place. Rejects where it cannot be made. */
  async renew(make: () => Promise<Template>): Promise<void> {
    const { clock } = this.#options;
    const [old, since, wall] = [this.#made, clock.now(), clock.wall()];
    const made = make();
    const template = await made;
    // Meanwhile it was dismissed, or has ended.
    if (this.#made !== old || this.#closed) return this.#end(made);
    if (old !== undefined) this.#end(old);
    this.#made = made;
    this.#since = wall;
    void template.ended.then(() => this.#lost(made, clock.now() - since));
  }

  /** What was thought to be good is not. */
  condemn(template: Template, error: unknown): void {
    const made = this.#made;
    made?.then((present) => {
      if (present !== template) return;
      this.#failed(made, error);
      this.#end(made);
    }, () => undefined);
  }

  /** It ended, which was noticed elsewhere first. */
  forget(made: Promise<Template>): void {
    if (this.#made === made) this.#made = undefined;
  }

  /** Ends what is there. Whatever failed may be tried again at once, but is not by itself. */
  dismiss(): void {
    const made = this.#made;
    this.#made = undefined;
    this.#failures = 0;
    this.#retryAt = 0;
    this.#retry?.cancel();
    if (made !== undefined) this.#end(made);
  }

  /** Resolves when all have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.dismiss();
    await Promise.all(this.#ending);
  }

  #end(made: Promise<Template>): void {
    const ending = made.then(endOf, () => undefined).then(() => void this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  /** A template ended by itself, or was killed. */
  #lost(made: Promise<Template>, livedMs: number): void {
    if (this.#made !== made) return;
    this.#made = undefined;
    this.#options.log.warn(`a template ended after ${Math.round(livedMs)} ms; another one is made`);
    if (livedMs >= STEADY_MS) this.#failures = 0;
    // The first of a row at once: whoever lost it under a launch is served by the next.
    const backOffMs = livedMs >= STEADY_MS ? 0 : this.#backOff();
    this.#tryAgain(new CartonError('CARTON_FORK_ENDED'), this.#failures <= 1 ? 0 : backOffMs);
  }

  #failed(made: Promise<Template>, error: unknown): void {
    if (this.#made !== made) return;
    this.#made = undefined;
    const failure = error instanceof CartonError ? error : new CartonError('CARTON_FORK_BOOT_FAILED', { got: describeWithCode(error), cause: error });
    // Whoever makes the root again goes on with this one.
    if (failure === this.#options.root?.error) return;
    const isFinal = failure.code === 'CARTON_FORK_UNAVAILABLE' || (failure.code === 'CARTON_FORK_REFUSED' && !isPassing(failure));
    this.#tryAgain(failure, isFinal ? Infinity : this.#backOff());
  }

  #backOff(): number {
    this.#failures += 1;
    return Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (this.#failures - 1));
  }

  #tryAgain(error: CartonError, afterMs: number): void {
    const { clock, onDue } = this.#options;
    this.#error = error;
    this.#retryAt = clock.now() + afterMs;
    if (afterMs === Infinity) return;
    this.#retry = clock.after(afterMs, () => {
      // Timers may fire a little early.
      this.#retryAt = 0;
      onDue();
    });
  }
}
