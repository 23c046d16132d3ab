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

const NOTHING = Buffer.alloc(0);

/** Bytes that are allocated at once for a frame that comes in parts; a longer one grows with what has come. */
const ASSEMBLY_BYTES = 64 * 1024;

/**
 * Cuts a byte stream into frames. The payload of a frame that came whole is a view of what was read; one that came in
 * parts is put together in a buffer of its own, which grows with the bytes that have come and not with those that were
 * announced, and which costs the same in however small parts they come.
 */
export class FrameReader {
  readonly #listener: FrameListener;
  /** Bytes of payload beyond which a frame is refused; small until a peer has shown its token. */
  limitBytes: number;
  /** The beginning of the frame that has not come whole. */
  #assembly: Buffer = NOTHING;
  #haveBytes = 0;
  #neededBytes = HEADER_BYTES;

  constructor(listener: FrameListener, limitBytes: number = LIMITS.framePayloadBytes) {
    this.#listener = listener;
    this.limitBytes = limitBytes;
  }

  /** Throws `CARTON_RPC_FRAME_TOO_LARGE`, and what the listener throws; the session is to be closed then. */
  push(chunk: Buffer): void {
    const at = this.#haveBytes === 0 ? 0 : this.#complete(chunk);
    if (at < chunk.length) this.#cut(chunk, at);
  }

  #cut(bytes: Buffer, start: number): void {
    let at = start;
    while (bytes.length - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + this.#lengthAt(bytes, at);
      if (end > bytes.length) break;
      this.#emit(bytes, at, end);
      at = end;
    }
    const rest = bytes.length - at;
    if (rest === 0) return;
    this.#neededBytes = rest < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + bytes.readUInt32LE(at);
    this.#append(bytes, at, rest);
  }

  /** Adds to the frame that has begun, and returns how much of `chunk` that took. */
  #complete(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length) {
      const part = Math.min(this.#neededBytes - this.#haveBytes, chunk.length - at);
      this.#append(chunk, at, part);
      at += part;
      if (this.#haveBytes < this.#neededBytes) break;
      this.#neededBytes = HEADER_BYTES + this.#lengthAt(this.#assembly, 0);
      if (this.#haveBytes < this.#neededBytes) continue;
      const frame = this.#assembly;
      this.#assembly = NOTHING;
      this.#haveBytes = 0;
      this.#emit(frame, 0, this.#neededBytes);
      break;
    }
    return at;
  }

  #append(chunk: Buffer, at: number, bytes: number): void {
    const have = this.#haveBytes;
    if (have + bytes > this.#assembly.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.#neededBytes, Math.max(have + bytes, 2 * have, ASSEMBLY_BYTES)));
      this.#assembly.copy(grown, 0, 0, have);
      this.#assembly = grown;
    }
    chunk.copy(this.#assembly, have, at, at + bytes);
    this.#haveBytes += bytes;
  }

  #emit(bytes: Buffer, at: number, end: number): void {
    this.#listener(bytes[at + 4] as number, bytes[at + 5] as number, bytes.readUInt32LE(at + 6), bytes.subarray(at + HEADER_BYTES, end));
  }

  #lengthAt(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32LE(at);
    if (length <= this.limitBytes) return length;
    throw new CartonError('CARTON_RPC_FRAME_TOO_LARGE', { expected: `at most ${this.limitBytes} bytes`, got: `${length} bytes` });
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
  /** Made with the first frame: a peer that only connects costs none. */
  #slab: Buffer = NOTHING;
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
