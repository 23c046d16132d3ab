/**
 * Frames: what travels on every session between the processes of a host. Pure bytes; `lib/rpc` gives them meaning.
 *
 * A frame is a header of 10 bytes and a payload: length of the payload (u32, little endian), type (u8), flag (u8),
 * call id (u32). A length over the limit is refused before anything is allocated for it.
 * `docs/reference/protocol.md` describes each type.
 */
import { CartonError } from '../support/errors';
import { LIMITS } from '../support/limits';

export const PROTOCOL_VERSION = 1;
export const HEADER_BYTES = 10;

export const FRAME = Object.freeze({
  hello: 1,
  welcome: 2,
  refuse: 3,
  call: 4,
  reply: 5,
  fail: 6,
  nack: 7,
  event: 8,
  data: 9,
  end: 10,
  credit: 11,
  cancel: 12,
});

/** Bit of a CALL's flag beside its method, and the flag of a REPLY: DATA frames with the same id follow. */
export const STREAM_FOLLOWS = 0x80;

/** Flag of an END frame whose payload is a WireError. */
export const END_WITH_ERROR = 1;

/** Why an instance did not begin an invocation; the flag of a NACK. */
export const NACK = Object.freeze({ busy: 1, draining: 2, stale: 3 });

export type FrameListener = (type: number, flag: number, id: number, payload: Buffer) => void;

/** Cuts a byte stream into frames. Payloads are views of what was read, never copies, where a frame came whole. */
export class FrameReader {
  readonly #listener: FrameListener;
  /** Bytes of payload beyond which a frame is refused; small until a peer has shown its token. */
  limitBytes: number;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #neededBytes = HEADER_BYTES;

  constructor(listener: FrameListener, limitBytes: number = LIMITS.framePayloadBytes) {
    this.#listener = listener;
    this.limitBytes = limitBytes;
  }

  /** Throws `CARTON_RPC_FRAME_TOO_LARGE`; the session is to be closed then. */
  push(chunk: Buffer): void {
    if (this.#pendingBytes === 0) return this.#cut(chunk);
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#pendingBytes < this.#neededBytes) return;
    const whole = Buffer.concat(this.#pending, this.#pendingBytes);
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#cut(whole);
  }

  #cut(bytes: Buffer): void {
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const length = bytes.readUInt32LE(at);
      if (length > this.limitBytes) {
        throw new CartonError('CARTON_RPC_FRAME_TOO_LARGE', { expected: `at most ${this.limitBytes} bytes`, got: `${length} bytes` });
      }
      const end = at + HEADER_BYTES + length;
      if (end > bytes.length) break;
      this.#listener(bytes[at + 4] as number, bytes[at + 5] as number, bytes.readUInt32LE(at + 6), bytes.subarray(at + HEADER_BYTES, end));
      at = end;
    }
    if (at === bytes.length) {
      this.#neededBytes = HEADER_BYTES;
      return;
    }
    const rest = bytes.subarray(at);
    this.#pending.push(rest);
    this.#pendingBytes = rest.length;
    this.#neededBytes = rest.length < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + rest.readUInt32LE(0);
  }
}

/** Bytes of one slab of a FrameWriter: some hundred small frames, one allocation. */
const SLAB_BYTES = 64 * 1024;
/** Payloads from this size on are handed over as they are instead of being copied into the slab. */
const COPY_BYTES = 8 * 1024;

/**
 * Gathers frames into few buffers, so that many small frames leave in one system call. Buffers that `take` returned are
 * never written to again.
 */
export class FrameWriter {
  #slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Where the part of the slab begins that no taken buffer covers. */
  #start = 0;
  #at = 0;
  #frame = 0;
  #parts: Buffer[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#parts.length === 0 && this.#at === this.#start;
  }

  /** A frame with this payload. */
  frame(type: number, flag: number, id: number, payload?: Buffer): void {
    const length = payload?.length ?? 0;
    this.begin(type, flag, id, length < COPY_BYTES ? length : 0);
    if (payload !== undefined) this.bytes(payload);
    this.end();
  }

  /** A frame whose payload is this text in UTF-8. */
  text(type: number, flag: number, id: number, text: string): void {
    // 3 bytes a UTF-16 unit is the most that UTF-8 needs; beyond the slab the text is encoded on its own.
    if (text.length * 3 > COPY_BYTES) return this.frame(type, flag, id, Buffer.from(text, 'utf8'));
    this.begin(type, flag, id, text.length * 3);
    this.#at += this.#slab.write(text, this.#at, 'utf8');
    this.end();
  }

  /** Opens a frame; `reserveBytes` of small fields may follow before `end`. */
  begin(type: number, flag: number, id: number, reserveBytes: number): void {
    this.#reserve(HEADER_BYTES + reserveBytes);
    this.#frame = this.#at;
    this.#bytes = 0;
    this.#slab[this.#at + 4] = type;
    this.#slab[this.#at + 5] = flag;
    this.#slab.writeUInt32LE(id, this.#at + 6);
    this.#at += HEADER_BYTES;
  }

  u8(value: number): void {
    this.#slab[this.#at++] = value;
  }

  u16(value: number): void {
    this.#at = this.#slab.writeUInt16LE(value, this.#at);
  }

  u32(value: number): void {
    this.#at = this.#slab.writeUInt32LE(value, this.#at);
  }

  /** Bytes of the open frame: copied when small (and then covered by `reserveBytes`), else referenced and last. */
  bytes(bytes: Buffer): void {
    if (bytes.length < COPY_BYTES) {
      bytes.copy(this.#slab, this.#at);
      this.#at += bytes.length;
      return;
    }
    this.#bytes = bytes.length;
    this.#slab.writeUInt32LE(this.#at - this.#frame - HEADER_BYTES + bytes.length, this.#frame);
    this.#seal();
    this.#parts.push(bytes);
  }

  end(): void {
    if (this.#bytes > 0) return;
    this.#slab.writeUInt32LE(this.#at - this.#frame - HEADER_BYTES, this.#frame);
  }

  /** All that was written since the last call, in order. */
  take(): Buffer[] {
    this.#seal();
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }

  #seal(): void {
    if (this.#at > this.#start) this.#parts.push(this.#slab.subarray(this.#start, this.#at));
    this.#start = this.#at;
  }

  #reserve(bytes: number): void {
    if (this.#slab.length - this.#at >= bytes) return;
    this.#seal();
    this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes));
    this.#start = 0;
    this.#at = 0;
  }
}

/** Bytes up to which `FrameWriter.bytes` copies; whoever calls `begin` reserves for that. */
export function copiedBytes(bytes: Buffer): number {
  return bytes.length < COPY_BYTES ? bytes.length : 0;
}
