/**
 * Keeps the order of calls that nobody waits for, as a connection of Redis does. A session keeps it by itself, but for
 * arguments that are larger than a frame: those arrive when all of them has come. It runs in instances.
 */
import { LIMITS } from '../../../support/limits';

/** Bytes that a character can take, as `\u0000` does. */
const BYTES_OF_CHARACTER = 6;

export class Order {
  #barrier: Promise<void> | undefined;

  /** Starts the call at once, or behind the barrier. */
  in<T>(call: () => Promise<T>): Promise<T> {
    return this.#barrier === undefined ? call() : this.#barrier.then(call);
  }

  /** What is started from now on waits for `call` to end. */
  endsWith(call: Promise<unknown>): void {
    const passed = (): void => {
      if (this.#barrier === barrier) this.#barrier = undefined;
    };
    const barrier = call.then(passed, passed);
    this.#barrier = barrier;
  }
}

export function isLarge(value: unknown): boolean {
  return sizeOf(value) > LIMITS.inlineBodyBytes;
}

function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length * BYTES_OF_CHARACTER;
  if (Buffer.isBuffer(value)) return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  let size = 0;
  for (const item of value instanceof Map ? [...value].flat() : Object.values(value)) size += sizeOf(item) + BYTES_OF_CHARACTER;
  return size;
}
