/**
 * The socket below a session: gathers frames into few writes, bounds what waits for a peer that does not read, and
 * makes sure that a socket which was closed is gone soon.
 */
import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../support/clock';
import { CartonError } from '../support/errors';
import { LIMITS } from '../support/limits';
import { FrameWriter } from '../protocol/frame';

export interface TransportListener {
  onBytes(chunk: Buffer): void;
  /** The socket has ended, has failed or is gone. May be called more than once. */
  onGone(): void;
  /** The peer does not read: more waits for it than may. */
  onStalled(error: CartonError): void;
}

export interface TransportOptions {
  readonly clock: Clock;
  /**
   * Whether to stop reading while the peer does not: it cannot make this side answer then. Only one side of a session
   * may, or both would wait for each other for ever.
   */
  readonly mayPause: boolean;
}

export class Transport {
  readonly writer = new FrameWriter();
  readonly #socket: Duplex;
  readonly #options: TransportOptions;
  readonly #listener: TransportListener;
  #flushScheduled = false;
  #closed = false;
  #paused = false;
  #linger: Timer | undefined;

  constructor(socket: Duplex, options: TransportOptions, listener: TransportListener) {
    this.#socket = socket;
    this.#options = options;
    this.#listener = listener;
    socket.on('data', (chunk: Buffer) => listener.onBytes(chunk));
    socket.on('end', () => listener.onGone());
    socket.on('error', () => listener.onGone());
    socket.on('close', () => {
      this.#linger?.cancel();
      listener.onGone();
    });
  }

  /** Bytes that wait in user space because the peer does not read. */
  get backlogBytes(): number {
    return this.#socket.writableLength;
  }

  /** Writes what was gathered, once, at the end of this turn of the event loop. */
  flushSoon(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => this.flush());
  }

  flush(): void {
    this.#flushScheduled = false;
    if (this.#closed || this.writer.isEmpty) return;
    const parts = this.writer.take();
    if (parts.length === 1) this.#socket.write(parts[0]);
    else this.#writeAll(parts);
    if (this.#socket.writableLength > LIMITS.socketBacklogBytes) this.#onBacklog();
  }

  /** Closes once what was written has gone out, and at the latest after `LIMITS.lingerMs`. */
  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#socket.destroyed) return;
    // A peer that reads nothing would keep the socket, and what waits for it, for as long as it lives.
    this.#linger = this.#options.clock.after(LIMITS.lingerMs, () => this.#socket.destroy());
    this.#socket.end(() => this.#socket.destroy());
    if (this.#paused) this.#socket.resume();
  }

  /** Closes at once; what was written may be lost. */
  destroy(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #writeAll(parts: readonly Buffer[]): void {
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
  }

  #onBacklog(): void {
    const waiting = this.#socket.writableLength;
    if (waiting > LIMITS.sessionBacklogBytes) {
      const expected = `at most ${LIMITS.sessionBacklogBytes} bytes to wait for it`;
      return this.#listener.onStalled(new CartonError('CARTON_RPC_PEER_STALLED', { expected, got: `${waiting}` }));
    }
    if (!this.#options.mayPause || this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
    this.#socket.once('drain', () => {
      this.#paused = false;
      this.#socket.resume();
    });
  }
}
