/**
 * Forks of one template that wait to become instances, so that a request waits for none of what they have in common.
 * Runs in the agent.
 */
import type { ForkAhead, Template } from '../fork/template';
import type { Clock, Timer } from '../support/clock';

export interface ForksAheadOptions {
  readonly count: number;
  /** To be done before the first of them is forked, when nobody waits; where it fails, again before later ones. */
  readonly before?: () => Promise<void>;
  readonly clock: Clock;
}

/** Times that `before` may fail: they are forked all the same. */
const TRIES = 3;
/** Milliseconds without a launch, after which the machine is thought to have time for the next. */
const QUIET_MS = 100;

export class ForksAhead {
  readonly #template: Template;
  readonly #options: ForksAheadOptions;
  readonly #waiting: ForkAhead[] = [];
  #prepared: Promise<void> | undefined;
  #failures = 0;
  #asked = 0;
  #soon: Timer | undefined;
  #closed = false;

  constructor(template: Template, options: ForksAheadOptions) {
    this.#template = template;
    this.#options = options;
    void template.ended.then(() => this.close());
  }

  /** The one that has waited longest. */
  take(): ForkAhead | undefined {
    return this.#waiting.shift();
  }

  /** Makes those that are missing, once nothing was launched for a while. */
  replenishSoon(): void {
    this.#soon?.cancel();
    const { count, before } = this.#options;
    if (this.#closed || (count === 0 && (before === undefined || this.#prepared !== undefined))) return;
    this.#soon = this.#options.clock.after(QUIET_MS, () => void this.#replenish());
  }

  close(): void {
    this.#closed = true;
    this.#soon?.cancel();
    for (const fork of this.#waiting.splice(0)) fork.kill();
  }

  async #replenish(): Promise<void> {
    await (this.#prepared ??= this.#options.before?.().catch(() => this.#failed()));
    while (!this.#closed && this.#waiting.length + this.#asked < this.#options.count) void this.#add();
  }

  #failed(): void {
    this.#failures += 1;
    if (this.#failures < TRIES) this.#prepared = undefined;
  }

  async #add(): Promise<void> {
    this.#asked += 1;
    try {
      const fork = await this.#template.forkAhead();
      if (this.#closed) return fork.kill();
      this.#waiting.push(fork);
      void fork.ended.then(() => this.#remove(fork));
    } catch {
      // Whoever launches next learns why.
    } finally {
      this.#asked -= 1;
    }
  }

  #remove(fork: ForkAhead): void {
    const at = this.#waiting.indexOf(fork);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    this.replenishSoon();
  }
}
