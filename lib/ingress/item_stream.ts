/**
 * The items of a function's NDJSON stream as an async iterable. Bytes are granted to the instance only as the reader
 * takes items, so a slow reader slows the function down instead of filling memory.
 */
import { CartonError } from '../support/errors';
import { streamError } from './invoke';

type Line = { data: unknown } | { end: true } | { error: Parameters<typeof streamError>[0] };

export class ItemStream implements AsyncIterable<unknown> {
  #chunks: { bytes: Buffer; consumed: (bytes: number) => void }[] = [];
  #ended = false;
  #error: CartonError | undefined;
  #wake: (() => void) | undefined;

  push(chunk: Buffer, consumed: (bytes: number) => void): void {
    this.#chunks.push({ bytes: chunk, consumed });
    this.#wake?.();
  }

  end(error: CartonError | undefined): void {
    this.#ended = true;
    this.#error = error;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<unknown> {
    const decoder = new TextDecoder('utf-8');
    let text = '';
    for (;;) {
      const chunk = await this.#next();
      if (chunk === undefined) break;
      text += decoder.decode(chunk.bytes, { stream: true });
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        const item = JSON.parse(line) as Line;
        if ('error' in item) throw streamError(item.error);
        if ('end' in item) return;
        yield item.data;
      }
      chunk.consumed(chunk.bytes.length);
    }
    throw this.#error ?? new CartonError('CARTON_RPC_CLOSED', { of: 'a stream', expected: 'its end' });
  }

  async #next(): Promise<{ bytes: Buffer; consumed: (bytes: number) => void } | undefined> {
    while (this.#chunks.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#chunks.shift();
  }
}
