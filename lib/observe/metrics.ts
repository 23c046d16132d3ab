/**
 * Counts of what an app worker's ingress did, per function. Plain numbers that cost next to nothing on the way of a
 * request; whoever shows them reads a snapshot.
 */
import type { InvocationRecord } from './channels';

/** Upper bounds of the latency buckets, in milliseconds; the last one has none. */
export const LATENCY_BUCKETS_MS = Object.freeze([1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, Infinity]);

export interface FunctionCounts {
  readonly invocations: number;
  /** Invocations that had to wait for an instance. */
  readonly waited: number;
  /** By error code. */
  readonly errors: Readonly<Record<string, number>>;
  /** Invocations per bucket of `LATENCY_BUCKETS_MS`, from arrival to the first byte of the answer. */
  readonly latency: readonly number[];
}

class Counter {
  invocations = 0;
  waited = 0;
  readonly errors = new Map<string, number>();
  readonly latency = new Array<number>(LATENCY_BUCKETS_MS.length).fill(0);
}

/** Of an `InvocationRecord`, what is counted. */
export type Counted = Pick<InvocationRecord, 'function' | 'latencyMs' | 'waited' | 'errorCode'>;

export class Metrics {
  readonly #counters = new Map<string, Counter>();

  record(invocation: Counted): void {
    let counter = this.#counters.get(invocation.function);
    if (counter === undefined) this.#counters.set(invocation.function, (counter = new Counter()));
    counter.invocations += 1;
    if (invocation.waited) counter.waited += 1;
    if (invocation.errorCode !== undefined) counter.errors.set(invocation.errorCode, (counter.errors.get(invocation.errorCode) ?? 0) + 1);
    let bucket = 0;
    while (invocation.latencyMs > (LATENCY_BUCKETS_MS[bucket] as number)) bucket += 1;
    counter.latency[bucket] = (counter.latency[bucket] as number) + 1;
  }

  snapshot(): Record<string, FunctionCounts> {
    const entries = [...this.#counters].map(([name, counter]) => [
      name,
      { invocations: counter.invocations, waited: counter.waited, errors: Object.fromEntries(counter.errors), latency: [...counter.latency] },
    ]);
    return Object.fromEntries(entries) as Record<string, FunctionCounts>;
  }
}
