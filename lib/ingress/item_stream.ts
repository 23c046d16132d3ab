/**
 * The items of a function's NDJSON stream as an async iterable. Bytes are granted to the instance only as the reader
 * takes items, so a slow reader slows the function down instead of filling memory. A reader that stops early takes the
 * call back.
 */
import { CartonError, ERRORS, fromWire, type WireError } from '../support/errors';

type Line = { data: unknown } | { end: true } | { error: Pick<WireError, 'code' | 'message'> & { function?: WireError['thrown'] } };

interface Chunk {
  readonly bytes: Buffer;
  readonly consumed: (bytes: number) => void;
}

export class ItemStream implements AsyncIterable<unknown> {
  readonly #cancel: () => void;
  readonly #chunks: Chunk[] = [];
  #ended = false;
  #error: CartonError | undefined;
  #wake: (() => void) | undefined;

  /** @param cancel takes the call back; does nothing once it has ended */
  constructor(cancel: () => void) {
    this.#cancel = cancel;
  }

  push(bytes: Buffer, consumed: (bytes: number) => void): void {
    this.#chunks.push({ bytes, consumed });
    this.#wake?.();
  }

  end(error: CartonError | undefined): void {
    this.#ended = true;
    this.#error = error;
    this.#wake?.();
  }

  /** To be iterated once: items are gone when they were read. */
  async *[Symbol.asyncIterator](): AsyncGenerator<unknown> {
    try {
      for await (const item of this.#lines()) {
        if ('error' in item) throw errorOf(item.error);
        if ('end' in item) return;
        yield item.data;
      }
      throw this.#error ?? new CartonError('CARTON_RPC_CLOSED', { of: 'a stream', expected: 'its end' });
    } finally {
      this.#cancel();
    }
  }

  async *#lines(): AsyncGenerator<Line> {
    const decoder = new TextDecoder('utf-8');
    let text = '';
    for (;;) {
      const chunk = await this.#next();
      if (chunk === undefined) return;
      text += decoder.decode(chunk.bytes, { stream: true });
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line) as Line;
      chunk.consumed(chunk.bytes.length);
    }
  }

  async #next(): Promise<Chunk | undefined> {
    while (this.#chunks.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#chunks.shift();
  }
}

/** The error line of a stream, as an error again. */
function errorOf({ code, message, function: thrown }: { code: WireError['code']; message: string; function?: WireError['thrown'] }): CartonError {
  return fromWire({ code, message, status: Object.hasOwn(ERRORS, code) ? ERRORS[code].status : 500, thrown });
}
