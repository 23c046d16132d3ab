/**
 * A token bucket: a function's rate limit in one worker, which gets its share of the host's.
 */
import type { Clock } from '../support/clock';
import type { RateLimit } from '../support/host_environment';

export class TokenBucket {
  readonly #clock: Clock;
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  /** @param workers the limit is the host's; each worker gets its part, but never less than one token of burst */
  constructor(limit: RateLimit, workers: number, clock: Clock) {
    this.#clock = clock;
    this.#perMs = limit.perSecond / workers / 1000;
    this.#burst = Math.max(1, limit.burst / workers);
    this.#tokens = this.#burst;
    this.#at = clock.now();
  }

  /** Takes a token and returns 0, or returns the milliseconds until there is one. */
  take(): number {
    const now = this.#clock.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
    if (this.#tokens < 1) return Math.ceil((1 - this.#tokens) / this.#perMs);
    this.#tokens -= 1;
    return 0;
  }
}
