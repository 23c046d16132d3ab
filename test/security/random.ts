/**
 * Random numbers from a seed, so that a failing run can be repeated, and random values made of them.
 */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 on, below 1: mulberry32 (https://gist.github.com/tommyettinger/46a874533244883189143505d203312c). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number from `least` to `most`. */
  int(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.int(0, values.length - 1)] as T;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.int(0, 255)));
  }

  /** Text with characters of one to four bytes, controls, quotes and halves of surrogate pairs. */
  text(most = 20): string {
    const units = ['a', 'Z', '0', ' ', '"', '\\', '\n', '\u0000', 'é', '€', '😀', '\ud800', '\u2028', '__proto__', '/', '<'];
    return Array.from({ length: this.int(0, most) }, () => this.pick(units)).join('');
  }

  /** A JSON text of any value; keys such as `__proto__` among others. */
  json(depth = 3): string {
    const kind = this.int(0, depth > 0 ? 7 : 5);
    if (kind === 0) return this.pick(['null', 'true', 'false']);
    if (kind === 1) return this.pick(['0', '-0', '1e5', '-12.5', '1e999', '9007199254740993']);
    if (kind <= 5) return JSON.stringify(this.text());
    const list = Array.from({ length: this.int(0, 4) }, () => this.json(depth - 1));
    if (kind === 6) return `[${list.join(',')}]`;
    return `{${list.map((value) => `${JSON.stringify(this.pick(['a', 'b', '__proto__', 'constructor', 'toString', 'length', this.text(5)]))}:${value}`).join(',')}}`;
  }

  args(): string {
    return `[${Array.from({ length: this.int(0, 4) }, () => this.json()).join(',')}]`;
  }

  /** The same bytes in some pieces. */
  pieces(bytes: Buffer, most: number): Buffer[] {
    const cuts = Array.from({ length: this.int(0, most - 1) }, () => this.int(0, bytes.length)).sort((a, b) => a - b);
    return [0, ...cuts].map((cut, index) => bytes.subarray(cut, [...cuts, bytes.length][index])).filter((piece) => piece.length > 0);
  }
}
