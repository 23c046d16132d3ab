/**
 * The control socket of a template, at the end of whoever gives it orders. Frames are those of native/frames.h. Sending
 * never waits, whatever the template does.
 */
import { Socket } from 'node:net';
import { forker } from './native';

/** The descriptor on which the process of a root template finds its control socket. */
export const CONTROL_FD = 3;

const HEADER_BYTES = 12;
/** Bytes of a frame's payload. Nothing that a template tells is larger: lists of reasons and errors are cut by it. */
export const PAYLOAD_LIMIT = 64 * 1024;

export interface ControlListener {
  onFrame(op: number, id: number, payload: Buffer): void;
  /** Once, after the last frame. */
  onEnd(): void;
}

export class Control {
  readonly #fd: number;
  readonly #socket: Socket;
  readonly #listener: ControlListener;
  #received: Buffer = Buffer.alloc(0);
  #isOpen = true;

  constructor(fd: number, listener: ControlListener) {
    this.#fd = fd;
    this.#listener = listener;
    // Half open, because a root goes on telling of exits when no more orders come.
    this.#socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    this.#socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    this.#socket.once('end', () => this.#socket.destroy());
    // The end says it all.
    this.#socket.on('error', () => undefined);
    this.#socket.once('close', () => {
      this.#isOpen = false;
      listener.onEnd();
    });
  }

  /**
   * Throws an error with the name of an errno: EPIPE or ECONNRESET where the template is gone, EAGAIN where it does not
   * read; after any but the first two another frame may be sent.
   */
  send(op: number, id: number, payload: string, fds: readonly number[] = []): void {
    // Once it is closed, which Node tells later, its number may be another file's.
    if (!this.#isOpen || this.#socket.destroyed) throw Object.assign(new Error('the control socket is closed'), { code: 'EPIPE' });
    forker().send(this.#fd, op, id, payload, fds);
  }

  /** No more orders: the template sees the end of them. What it still tells is heard. */
  stop(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#socket.end();
  }

  /** Nothing is heard any more. */
  close(): void {
    this.#isOpen = false;
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + this.#received.readUInt32LE(0);
      if (end > HEADER_BYTES + PAYLOAD_LIMIT) return this.close();
      if (this.#received.length < end) return;
      const frame = this.#received.subarray(0, end);
      this.#received = this.#received.subarray(end);
      this.#listener.onFrame(frame.readUInt32LE(4), frame.readUInt32LE(8), frame.subarray(HEADER_BYTES));
    }
  }
}
