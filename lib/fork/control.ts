/**
 * The control socket of a template, at the end of whoever gives it orders. Frames are those of native/forker.c.
 */
import { Socket } from 'node:net';
import { forker } from './native';

/** The descriptor on which the process of a root template finds its control socket. */
export const CONTROL_FD = 3;

const HEADER_BYTES = 12;
/** Nothing that a template tells is larger: lists of reasons and errors are cut by it. */
const PAYLOAD_LIMIT = 64 * 1024;

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
    this.#socket = new Socket({ fd, readable: true, writable: true });
    this.#socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    // The end says it all.
    this.#socket.on('error', () => undefined);
    this.#socket.once('close', () => {
      this.#isOpen = false;
      listener.onEnd();
    });
  }

  /** Throws an error with the name of an errno where the template is gone. */
  send(op: number, id: number, message: unknown, fds: readonly number[] = []): void {
    // By then its number may be another file's.
    if (!this.#isOpen) throw Object.assign(new Error('the control socket is closed'), { code: 'EPIPE' });
    forker().send(this.#fd, op, id, JSON.stringify(message), fds);
  }

  /** The template sees its end. */
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
