/**
 * Requests that wait for an instance, first come first served; those that an instance gave back go first. What was
 * cancelled in the meantime is skipped.
 */
import type { Dispatch } from './dispatch';

/** Places in line that may be empty before they are closed up. */
const SKIPPED = 64;

export class WaitQueue {
  #queue: Dispatch[] = [];
  #head = 0;
  #returned: Dispatch[] = [];
  readonly #waiting = new Set<Dispatch>();
  readonly #perFunction = new Map<string, number>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Places in line, those of requests that gave up among them. */
  get places(): number {
    return this.#queue.length - this.#head + this.#returned.length;
  }

  /** Requests of one function that wait. */
  sizeOf(functionName: string): number {
    return this.#perFunction.get(functionName) ?? 0;
  }

  push(dispatch: Dispatch): void {
    this.#add(dispatch);
    this.#queue.push(dispatch);
  }

  /** Puts back at the front what was taken out and could not begin. */
  unshift(dispatch: Dispatch): void {
    this.#add(dispatch);
    this.#returned.push(dispatch);
  }

  /** The next one, or undefined. */
  shift(): Dispatch | undefined {
    for (;;) {
      const next = this.#returned.shift() ?? this.#queue[this.#head];
      if (next === undefined) return undefined;
      if (next === this.#queue[this.#head]) this.#advance();
      if (this.delete(next)) return next;
    }
  }

  /** True if it waited. Its place in line is skipped later. */
  delete(dispatch: Dispatch): boolean {
    if (!this.#waiting.delete(dispatch)) return false;
    const left = this.sizeOf(dispatch.spec.name) - 1;
    if (left === 0) this.#perFunction.delete(dispatch.spec.name);
    else this.#perFunction.set(dispatch.spec.name, left);
    // What gave up would else keep its body until somebody is served.
    if (this.places > 2 * this.#waiting.size + SKIPPED) this.#compact();
    return true;
  }

  /** Takes all of them out. */
  clear(): Dispatch[] {
    const all = [...this.#waiting];
    this.#queue = [];
    this.#head = 0;
    this.#returned = [];
    this.#waiting.clear();
    this.#perFunction.clear();
    return all;
  }

  #add(dispatch: Dispatch): void {
    this.#waiting.add(dispatch);
    this.#perFunction.set(dispatch.spec.name, this.sizeOf(dispatch.spec.name) + 1);
  }

  #compact(): void {
    this.#queue = this.#queue.slice(this.#head).filter((dispatch) => this.#waiting.has(dispatch));
    this.#head = 0;
    this.#returned = this.#returned.filter((dispatch) => this.#waiting.has(dispatch));
  }

  #advance(): void {
    this.#head += 1;
    // Half of the array is behind us: drop it, so that a queue that is never empty does not grow for ever.
    if (this.#head < 1024 && this.#head < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }
}
