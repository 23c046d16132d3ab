/**
 * Streams of remote calls, above the credit of a session: bytes and values come out as a `Readable`, and go in from
 * anything that can be iterated. A reader that does not read stops its sender, and no other call.
 */
import { Readable } from 'node:stream';
import { Chunks } from '../support/chunks';
import { CartonError } from '../support/errors';
import { LIMITS } from '../support/limits';
import { thrownToWire } from './remote_errors';
import type { StreamReceiver, StreamSender } from './stream';

/** Bytes of a value's length before it. */
const LENGTH_BYTES = 4;

/** Whether it can be a stream of a call. Strings, arrays and the like are values. */
export function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/** Whether what it gives are bytes, and not values. */
export function givesBytes(stream: AsyncIterable<unknown>): boolean {
  return stream instanceof Readable && !stream.readableObjectMode && stream.readableEncoding === null;
}

export interface SendOptions {
  /** Undefined: its items are bytes. */
  readonly encode: ((item: unknown) => Buffer) | undefined;
  /** Aborted when nobody wants the rest. */
  readonly signal: AbortSignal;
}

/** Sends all of it, as fast as the peer reads. Never rejects: what fails is told to the peer. */
export async function sendAll(stream: AsyncIterable<unknown>, sender: StreamSender, { encode, signal }: SendOptions): Promise<void> {
  const iterator = stream[Symbol.asyncIterator]();
  // It may be waiting for its source, and for ever.
  const stop = (): void => {
    if (stream instanceof Readable) stream.destroy();
    else void iterator.return?.().catch(() => undefined);
  };
  signal.addEventListener('abort', stop);
  try {
    for (let next = await iterator.next(); next.done !== true && !sender.isClosed; next = await iterator.next()) {
      const chunk = encode === undefined ? (next.value as Buffer) : framed(encode(next.value));
      if (!sender.write(chunk)) await new Promise<void>((resolve) => (sender.onDrain = resolve));
    }
    sender.end();
  } catch (error) {
    sender.end(thrownToWire(error));
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

function framed(value: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + value.length);
  bytes.writeUInt32LE(value.length);
  value.copy(bytes, LENGTH_BYTES);
  return bytes;
}

/** The first bytes of a stream, which belong together. */
export class Beginning {
  readonly #length: number;
  readonly #chunks = new Chunks();

  constructor(length: number) {
    this.#length = length;
  }

  /** Undefined until all of it is there. */
  get whole(): Buffer | undefined {
    return this.#chunks.bytes === this.#length ? this.#chunks.concat() : undefined;
  }

  /** Returns what is beyond. */
  push(chunk: Buffer): Buffer {
    const missing = this.#length - this.#chunks.bytes;
    this.#chunks.push(chunk.subarray(0, missing));
    return chunk.subarray(missing);
  }
}

/** What a peer sends as a stream: whoever hears of its parts hands them over, with the credit for them. */
export interface Received {
  receiver: StreamReceiver | undefined;
  /** Throws what the peer did wrong. */
  accept(chunk: Buffer): void;
  finish(error: Error | undefined): void;
}

/** Bytes. `onUnwanted`: the reader wants no more, and has not seen the end. */
export class ReceivedBytes extends Readable implements Received {
  receiver: StreamReceiver | undefined;
  readonly #onUnwanted: () => void;
  /** Bytes that came while nobody read. */
  #owed = 0;
  #hasEnded = false;

  constructor(onUnwanted: () => void) {
    super({ highWaterMark: LIMITS.streamChunkBytes });
    this.#onUnwanted = onUnwanted;
    // Whoever reads it learns how it fails; where nobody does, that is no reason to end the process.
    this.on('error', () => undefined);
  }

  accept(chunk: Buffer): void {
    if (this.destroyed || this.push(chunk)) this.receiver?.consumed(chunk.length);
    else this.#owed += chunk.length;
  }

  finish(error: Error | undefined): void {
    this.#hasEnded = true;
    if (error === undefined) this.push(null);
    else this.destroy(error);
  }

  override _read(): void {
    const owed = this.#owed;
    this.#owed = 0;
    if (owed > 0) this.receiver?.consumed(owed);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.#hasEnded) this.#onUnwanted();
    callback(error);
  }
}

interface Waiting {
  resolve(result: IteratorResult<unknown, undefined>): void;
  reject(error: Error): void;
}

const DONE: IteratorResult<unknown, undefined> = { done: true, value: undefined };

/** Values, each of them however the stream ends. What is read gives its credit back. */
export class ReceivedValues implements Received, AsyncIterableIterator<unknown> {
  receiver: StreamReceiver | undefined;
  readonly #decode: (bytes: Buffer) => unknown;
  readonly #onUnwanted: () => void;
  readonly #values: { readonly value: unknown; readonly bytes: number }[] = [];
  readonly #waiting: Waiting[] = [];
  #rest = new Chunks();
  /** Bytes of `#rest` from which on there is something to do. */
  #needed = LENGTH_BYTES;
  /** Bytes of `#rest` whose credit was given back. */
  #early = 0;
  #end: { error: Error | undefined } | undefined;

  constructor(decode: (bytes: Buffer) => unknown, onUnwanted: () => void) {
    this.#decode = decode;
    this.#onUnwanted = onUnwanted;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    const next = this.#values.shift();
    if (next !== undefined) {
      this.receiver?.consumed(next.bytes);
      this.#makeRoom();
      return Promise.resolve({ done: false, value: next.value });
    }
    if (this.#end === undefined) return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    const { error } = this.#end;
    // It is thrown once, as by a generator.
    this.#end = { error: undefined };
    return error === undefined ? Promise.resolve(DONE) : Promise.reject(error);
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    this.#values.length = 0;
    if (this.#end === undefined) this.#onUnwanted();
    this.finish(undefined);
    this.#end = { error: undefined };
    return Promise.resolve(DONE);
  }

  accept(chunk: Buffer): void {
    if (this.#end !== undefined) return this.receiver?.consumed(chunk.length);
    this.#rest.push(chunk);
    if (this.#rest.bytes < this.#needed) return this.#makeRoom();
    let bytes = this.#rest.concat();
    for (this.#needed = neededOf(bytes); bytes.length >= this.#needed; this.#needed = neededOf(bytes)) {
      const owed = this.#needed - this.#early;
      this.#early = 0;
      this.#give(this.#decode(bytes.subarray(LENGTH_BYTES, this.#needed)), owed);
      bytes = bytes.subarray(this.#needed);
    }
    this.#rest = new Chunks();
    this.#rest.push(bytes);
    this.#makeRoom();
  }

  finish(error: Error | undefined): void {
    if (this.#end !== undefined) return;
    this.#end = { error: error ?? (this.#rest.bytes === 0 ? undefined : new CartonError('CARTON_RPC_BAD_FRAME', { of: 'a stream', expected: 'whole values', got: 'a part of one' })) };
    const [first, ...others] = this.#waiting.splice(0);
    if (first !== undefined) this.next().then(first.resolve, first.reject);
    for (const { resolve } of others) resolve(DONE);
  }

  /** A value that is larger than the window would never be whole; while others wait to be read there is time. */
  #makeRoom(): void {
    if (this.#needed <= LIMITS.streamWindowBytes || this.#values.length > 0) return;
    this.receiver?.consumed(this.#rest.bytes - this.#early);
    this.#early = this.#rest.bytes;
  }

  #give(value: unknown, bytes: number): void {
    const reader = this.#waiting.shift();
    if (reader === undefined) return void this.#values.push({ value, bytes });
    this.receiver?.consumed(bytes);
    reader.resolve({ done: false, value });
  }
}

/** Bytes until the next value is there, or, where that is not known yet, its length. Throws `CARTON_RPC_VALUE_TOO_LARGE`. */
function neededOf(bytes: Buffer): number {
  if (bytes.length < LENGTH_BYTES) return LENGTH_BYTES;
  const length = bytes.readUInt32LE(0);
  if (length > LIMITS.resultBytes) throw new CartonError('CARTON_RPC_VALUE_TOO_LARGE', { expected: `at most ${LIMITS.resultBytes} bytes`, got: `${length} bytes` });
  return LENGTH_BYTES + length;
}
