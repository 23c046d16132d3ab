/**
 * In development: puts the function's name in front of each line that its process prints, so that a terminal shared by
 * many stays readable. In a process of several functions, the one that prints is known by its async context.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Writable } from 'node:stream';

type Write = (chunk: string | Uint8Array, ...rest: unknown[]) => boolean;

export class OutputPrefix {
  readonly #printing = new AsyncLocalStorage<string>();
  /** The name that stands before what no function prints. */
  name: string;

  /** From now on, each line on `streams` begins with `[name] `. */
  constructor(name: string, streams: readonly Writable[]) {
    this.name = name;
    for (const stream of streams) this.#prefix(stream);
  }

  /** Calls `call` so that what it prints, at once and later, has `name` in front. */
  run<T>(name: string, call: () => T): T {
    return this.#printing.run(name, () => this.#followGenerator(name, call()));
  }

  /** The body of an async generator runs in the context of whoever asks it for the next item. */
  #followGenerator<T>(name: string, result: T): T {
    if (!isAsyncGenerator(result)) return result;
    for (const method of ['next', 'return', 'throw'] as const) {
      const original = result[method].bind(result) as (value: unknown) => Promise<IteratorResult<unknown>>;
      result[method] = (value: unknown) => this.#printing.run(name, () => original(value));
    }
    return result;
  }

  #prefix(stream: Writable): void {
    const write = stream.write.bind(stream) as Write;
    let unfinished: string | undefined;
    const prefixed: Write = (chunk, ...rest) => {
      // As latin1, one character is one byte: a chunk may end inside of a character.
      const bytes = (typeof chunk === 'string' ? Buffer.from(chunk, encodingOf(rest)) : Buffer.from(chunk)).toString('latin1');
      if (bytes === '') return write(chunk, ...rest);
      const prefix = Buffer.from(`[${this.#printing.getStore() ?? this.name}] `).toString('latin1');
      const start = unfinished === undefined ? prefix : unfinished === prefix ? '' : `\n${prefix}`;
      unfinished = bytes.endsWith('\n') ? undefined : prefix;
      return write(Buffer.from(start + bytes.replace(/\n(?=[^])/g, `\n${prefix}`), 'latin1'), ...rest.filter((part) => typeof part === 'function'));
    };
    stream.write = prefixed as typeof stream.write;
  }
}

function encodingOf(rest: readonly unknown[]): BufferEncoding {
  return typeof rest[0] === 'string' ? (rest[0] as BufferEncoding) : 'utf8';
}

function isAsyncGenerator(value: unknown): value is AsyncGenerator<unknown, unknown, unknown> {
  const candidate = value as Partial<AsyncGenerator> | null | undefined;
  return typeof candidate?.next === 'function' && typeof candidate.return === 'function' && typeof candidate.throw === 'function'
    && typeof candidate[Symbol.asyncIterator] === 'function';
}
