/**
 * A clock for tests that never sleep: time stands still until `advance`, which runs what falls due, in order.
 */
import type { Clock, Timer } from '../../lib/support/clock';

interface Entry {
  at: number;
  readonly callback: () => void;
  readonly periodMs: number | undefined;
}

export class FakeClock implements Clock {
  readonly #entries = new Set<Entry>();
  readonly #epochMs: number;
  #now = 0;

  /** @param epochMs what `wall` says at the start */
  constructor(epochMs = 1_000_000_000_000) {
    this.#epochMs = epochMs;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#epochMs + this.#now;
  }

  /** Timers that have not fired and were not cancelled. */
  get pending(): number {
    return this.#entries.size;
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#add({ at: this.#now + Math.max(0, delayMs), callback, periodMs: undefined });
  }

  every(periodMs: number, callback: () => void): Timer {
    return this.#add({ at: this.#now + periodMs, callback, periodMs });
  }

  /** Lets `ms` pass. Timers fire at their own time, also those that are set meanwhile. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      this.#now = next.at;
      if (next.periodMs === undefined) this.#entries.delete(next);
      else next.at += next.periodMs;
      next.callback();
    }
    this.#now = until;
  }

  #next(until: number): Entry | undefined {
    let first: Entry | undefined;
    for (const entry of this.#entries) if (entry.at <= until && (first === undefined || entry.at < first.at)) first = entry;
    return first;
  }

  #add(entry: Entry): Timer {
    this.#entries.add(entry);
    return { cancel: () => void this.#entries.delete(entry) };
  }
}
