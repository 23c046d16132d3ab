/**
 * Cuts what a function process sends into commands. It runs in sidecars. A command is gathered up to a limit, so that its
 * text can be read before it goes anywhere; what is longer goes on in pieces, of which nothing is kept.
 *
 * 1. Nothing is allocated for what has been announced, only for what has come.
 * 2. Packets of a command count from 0; anything else is refused.
 */
import { CartonError } from '../../../../lib/support/errors';
import { LIMITS } from '../../../../lib/support/limits';
import { HEADER_BYTES, MAX_PAYLOAD } from './protocol';

export interface Command {
  /** With headers. May be written to. */
  readonly bytes: Buffer;
  /** False: its rest is read with `rest`. */
  readonly isWhole: boolean;
}

const EMPTY: Buffer = Buffer.alloc(0);

export class CommandReader {
  #held = EMPTY;
  /** What `held` lies in, where it was put together. */
  #capacity = EMPTY;
  /** Of a command whose rest is under way: bytes left of the packet, its number, and whether another follows. */
  #left = 0;
  #sequence = 0;
  #goesOn = false;

  /** Number of the packet that was read last. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Bytes that came and belong to no command yet. */
  get waitingBytes(): number {
    return this.#held.length;
  }

  push(chunk: Buffer): void {
    if (this.#held.length === 0) {
      this.#held = chunk;
      this.#capacity = EMPTY;
      return;
    }
    const needed = this.#held.length + chunk.length;
    // Grows by doubling: a sender that sends bytes one by one is not to have all copied for each of them.
    if (this.#capacity.length < needed || this.#held.byteOffset !== this.#capacity.byteOffset) {
      this.#capacity = Buffer.allocUnsafeSlow(needed * 2);
      this.#held.copy(this.#capacity);
    }
    chunk.copy(this.#capacity, this.#held.length);
    this.#held = this.#capacity.subarray(0, needed);
  }

  /** The next command, once enough of it has come. Throws `CARTON_SIDECAR_WIRE_PROTOCOL`. */
  next(): Command | undefined {
    if (this.#held.length < HEADER_BYTES) return undefined;
    const length = this.#header(0);
    const size = HEADER_BYTES + length;
    if (length === 0) throw new CartonError('CARTON_SIDECAR_WIRE_PROTOCOL', { expected: 'a command', got: 'an empty packet' });
    if (this.#held.length >= size && length < MAX_PAYLOAD) return { bytes: this.#take(size), isWhole: true };
    if (this.#held.length < LIMITS.wireCommandBytes) return undefined;
    const bytes = this.#take(Math.min(size, this.#held.length));
    this.#left = size - bytes.length;
    this.#goesOn = length === MAX_PAYLOAD;
    return { bytes, isWhole: false };
  }

  /** What has come of the rest, headers included, and whether that was all. Throws as `next`. */
  rest(): { bytes: Buffer; isAll: boolean } {
    let at = 0;
    for (;;) {
      const taken = Math.min(this.#left, this.#held.length - at);
      at += taken;
      this.#left -= taken;
      if (this.#left > 0) break;
      if (!this.#goesOn) return { bytes: this.#take(at), isAll: true };
      if (this.#held.length - at < HEADER_BYTES) break;
      const length = this.#held.readUIntLE(at, 3);
      this.#header(at, this.#sequence + 1);
      this.#left = length;
      this.#goesOn = length === MAX_PAYLOAD;
      at += HEADER_BYTES;
    }
    return { bytes: this.#take(at), isAll: false };
  }

  #header(at: number, sequence = 0): number {
    const got = this.#held[at + 3] as number;
    if (got !== (sequence & 0xff)) throw new CartonError('CARTON_SIDECAR_WIRE_PROTOCOL', { expected: `packet ${sequence & 0xff}`, got: `${got}` });
    this.#sequence = got;
    return this.#held.readUIntLE(at, 3);
  }

  #take(size: number): Buffer {
    const taken = this.#held.subarray(0, size);
    this.#held = this.#held.subarray(size);
    if (this.#held.length === 0) this.#capacity = EMPTY;
    return taken;
  }
}
