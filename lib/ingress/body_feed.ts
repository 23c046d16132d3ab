/**
 * Feeds a large request body into an invocation as a stream, with backpressure from the instance to the caller's
 * socket. What was sent is kept until the instance has granted credit, which it does only once it has accepted the
 * invocation: a refusal before that can be sent to another instance from the start.
 */
import type { Readable } from 'node:stream';
import { Chunks } from '../support/chunks';
import { type CartonError, toWire } from '../support/errors';
import { LIMITS } from '../support/limits';
import type { StreamSender } from '../rpc/stream';

export class BodyFeed {
  readonly #source: Readable;
  readonly #limitBytes: number;
  /** Called once when the body passes its limit. */
  onTooLarge: (() => void) | undefined;
  #kept: Chunks | undefined = new Chunks();
  #totalBytes: number;
  #ended = false;
  #failed: CartonError | undefined;
  #sender: StreamSender | undefined;
  readonly #data = (chunk: Buffer): void => this.#onData(chunk);

  /** @param head what was read of the body already */
  constructor(source: Readable, head: readonly Buffer[], limitBytes: number) {
    this.#source = source;
    this.#limitBytes = limitBytes;
    this.#totalBytes = 0;
    for (const chunk of head) this.#keep(chunk);
    source.on('data', this.#data);
    source.once('end', () => this.#onEnd());
    source.pause();
  }

  /** Whether the body can still be sent from its start. */
  get canRewind(): boolean {
    return this.#kept !== undefined;
  }

  /** Sends the body to `sender` from its start; a former sender gets no more. */
  pipe(sender: StreamSender): void {
    this.#sender = sender;
    sender.onDrain = () => {
      // The window came back whole or in part: the invocation was accepted, so nothing is kept any more.
      if (!sender.isClosed) this.#kept = undefined;
      this.#source.resume();
    };
    for (const chunk of this.#kept?.list() ?? []) sender.write(chunk);
    if (this.#failed !== undefined) sender.end(toWire(this.#failed));
    else if (this.#ended) sender.end();
    else if ((this.#kept?.bytes ?? 0) < LIMITS.streamWindowBytes) this.#source.resume();
  }

  /** The caller broke off: the function must not see a short body as a whole one. */
  abort(error: CartonError): void {
    this.#failed = error;
    this.#sender?.end(toWire(error));
  }

  /** Nobody wants the body any more: what is left of it is read and dropped, so that its connection can go on. */
  release(): void {
    this.#kept = undefined;
    this.#source.removeListener('data', this.#data);
    this.#source.resume();
  }

  #onData(chunk: Buffer): void {
    this.#keep(chunk);
    if (this.#sender === undefined) return;
    if (!this.#sender.write(chunk)) this.#source.pause();
  }

  #keep(chunk: Buffer): void {
    this.#totalBytes += chunk.length;
    if (this.#totalBytes > this.#limitBytes) {
      this.onTooLarge?.();
      this.onTooLarge = undefined;
    }
    if (this.#kept === undefined) return;
    this.#kept.push(chunk);
    // More than a window cannot have been sent without credit, but may have been read: it waits unread instead.
    if (this.#kept.bytes >= LIMITS.streamWindowBytes) this.#source.pause();
  }

  #onEnd(): void {
    this.#ended = true;
    this.#sender?.end();
  }
}
