/**
 * The two ends of a stream inside a session: a sender that stops when its credit is used up, and a receiver that
 * grants credit as its reader consumes. Credit counts bytes of payload; both ends begin with one window of it.
 */
import { CartonError, type WireError } from '../support/errors';
import { LIMITS } from '../support/limits';

/** What the ends of a stream need of their session. */
export interface StreamChannel {
  sendData(id: number, chunk: Buffer): void;
  sendEnd(id: number, error: WireError | undefined): void;
  sendCredit(id: number, bytes: number): void;
}

export class StreamSender {
  readonly #channel: StreamChannel;
  readonly #id: number;
  #credit = LIMITS.streamWindowBytes;
  #queue: Buffer[] = [];
  #ending: { error: WireError | undefined } | undefined;
  #closed = false;
  /** Called when the credit is back after `write` returned false, and when nothing is taken any more. */
  onDrain: (() => void) | undefined;

  constructor(channel: StreamChannel, id: number) {
    this.#channel = channel;
    this.#id = id;
  }

  /** Nothing is taken any more: it was ended, or the session or the call is gone. */
  get isClosed(): boolean {
    return this.#closed || this.#ending !== undefined;
  }

  /** Sends or keeps `chunk`; false asks the writer to wait for `onDrain`. After the end it is dropped. */
  write(chunk: Buffer): boolean {
    if (this.#closed || this.#ending !== undefined) return true;
    for (let at = 0; at < chunk.length; at += LIMITS.streamChunkBytes) {
      this.#queue.push(chunk.subarray(at, at + LIMITS.streamChunkBytes));
    }
    this.#flush();
    return this.#queue.length === 0;
  }

  /** Ends the stream once all that was written has gone out; with an error, what waits is dropped. */
  end(error?: WireError): void {
    if (this.#closed || this.#ending !== undefined) return;
    this.#ending = { error };
    if (error !== undefined) this.#queue = [];
    this.#flush();
    // Whoever waits for room would wait for ever: after the end there is none.
    this.onDrain?.();
  }

  /**
   * The peer granted more. It can give back only what it was sent, so the sum never passes a window: a peer that
   * grants more would have this side buffer without bound. Throws `CARTON_RPC_BAD_FRAME`.
   */
  credit(bytes: number): void {
    if (bytes === 0 || this.#credit + bytes > LIMITS.streamWindowBytes) {
      const expected = `1 to ${LIMITS.streamWindowBytes - this.#credit} bytes of credit`;
      throw new CartonError('CARTON_RPC_BAD_FRAME', { of: 'stream', expected, got: `${bytes}` });
    }
    this.#credit += bytes;
    this.#flush();
    if (this.#queue.length === 0 && this.#ending === undefined) this.onDrain?.();
  }

  /** The session or the call is gone: nothing is sent any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.onDrain?.();
  }

  #flush(): void {
    while (this.#queue.length > 0 && this.#credit > 0) {
      const chunk = this.#queue.shift() as Buffer;
      // A chunk may be larger than what is left: it is cut, so that the credit is never exceeded.
      const now = chunk.subarray(0, this.#credit);
      if (now.length < chunk.length) this.#queue.unshift(chunk.subarray(now.length));
      this.#credit -= now.length;
      this.#channel.sendData(this.#id, now);
    }
    // Credit for the last bytes may come after the end was sent, which is sent once.
    if (this.#closed || this.#queue.length > 0 || this.#ending === undefined) return;
    this.#closed = true;
    this.#channel.sendEnd(this.#id, this.#ending.error);
  }
}

export class StreamReceiver {
  readonly #channel: StreamChannel;
  readonly #id: number;
  #allowed = LIMITS.streamWindowBytes;
  #consumed = 0;

  constructor(channel: StreamChannel, id: number) {
    this.#channel = channel;
    this.#id = id;
  }

  /** Throws `CARTON_RPC_CREDIT_EXCEEDED` or, for a part that costs no credit, `CARTON_RPC_BAD_FRAME`. */
  accept(bytes: number): void {
    if (bytes === 0) throw new CartonError('CARTON_RPC_BAD_FRAME', { of: 'stream', expected: 'at least 1 byte of data', got: 'none' });
    this.#allowed -= bytes;
    if (this.#allowed < 0) {
      throw new CartonError('CARTON_RPC_CREDIT_EXCEEDED', { got: `${-this.#allowed} bytes more than granted` });
    }
  }

  /** The reader is done with so many bytes. Credit goes back in halves of a window, not in crumbs. */
  consumed(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed < LIMITS.streamWindowBytes / 2) return;
    this.#allowed += this.#consumed;
    this.#channel.sendCredit(this.#id, this.#consumed);
    this.#consumed = 0;
  }
}
