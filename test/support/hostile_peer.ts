/**
 * A peer that says whatever a test wants on a unix socket, well formed or not, and notes what it is told.
 */
import { connect, type Socket } from 'node:net';
import { FRAME, FrameReader, HEADER_BYTES, PROTOCOL_VERSION } from '../../lib/protocol/frame';

export interface HeardFrame {
  readonly type: number;
  readonly flag: number;
  readonly id: number;
  readonly payload: Buffer;
}

/** The bytes of one frame; `length` lies about its payload. */
export function frameBytes(type: number, flag: number, id: number, payload: Buffer | string = '', length?: number): Buffer {
  const body = Buffer.from(payload);
  const bytes = Buffer.alloc(HEADER_BYTES + body.length);
  bytes.writeUInt32LE(length ?? body.length, 0);
  bytes.writeUInt8(type, 4);
  bytes.writeUInt8(flag, 5);
  bytes.writeUInt32LE(id >>> 0, 6);
  body.copy(bytes, HEADER_BYTES);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}

export function helloBytes(token: string, version: number = PROTOCOL_VERSION): Buffer {
  const version16 = Buffer.alloc(2);
  version16.writeUInt16LE(version, 0);
  return frameBytes(FRAME.hello, 0, 0, Buffer.concat([Buffer.from('CRTN'), version16, Buffer.from(token, 'hex')]));
}

export class HostilePeer {
  readonly frames: HeardFrame[] = [];
  /** Resolves when the other side has closed the connection. */
  readonly closed: Promise<void>;
  readonly socket: Socket;
  isClosed = false;
  #waiting: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    const reader = new FrameReader((type, flag, id, payload) => this.frames.push({ type, flag, id, payload: Buffer.from(payload) }), 64 * 1024 * 1024);
    socket.on('data', (chunk: Buffer) => {
      reader.push(chunk);
      this.#wake();
    });
    // A connection that the other side has destroyed tells so by an error or an end, depending on what was under way.
    socket.on('error', () => this.#gone());
    socket.on('end', () => this.#gone());
    this.closed = new Promise((resolve) => socket.once('close', () => {
      this.#gone();
      resolve();
    }));
  }

  static connect(path: string): Promise<HostilePeer> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.removeListener('error', reject);
        resolve(new HostilePeer(socket));
      });
    });
  }

  /** Connects and shakes hands. */
  static async open(path: string, token: string): Promise<HostilePeer> {
    const peer = await HostilePeer.connect(path);
    peer.raw(helloBytes(token));
    await peer.until(() => peer.frames.length > 0 || peer.isClosed);
    return peer;
  }

  raw(bytes: Buffer): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  frame(type: number, flag: number, id: number, payload: Buffer | string = ''): void {
    this.raw(frameBytes(type, flag, id, payload));
  }

  /** Resolves when `condition` holds; it is looked at whenever something came, and at the close. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  of(type: number): HeardFrame[] {
    return this.frames.filter((frame) => frame.type === type);
  }

  destroy(): void {
    this.socket.destroy();
  }

  #gone(): void {
    this.isClosed = true;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
