/**
 * Follows the answer to one command through the bytes that the database sends, without keeping them: where packets begin,
 * what their first bytes are, and so where the answer ends and what it says of the session. It runs in sidecars.
 *
 * Connections are opened without CLIENT_DEPRECATE_EOF, so rows end with an EOF packet; a packet that begins as one and has
 * nine bytes or more is a row.
 */
import { FIRST_BYTE, HEADER_BYTES, MAX_PAYLOAD, STATUS, lengthEncoded } from './protocol';

/** How an answer is built. `results`: any number of OKs and results; `one`: a single packet of whatever kind. */
export type Shape = 'results' | 'rows' | 'prepared' | 'fields' | 'one';

export interface Outcome {
  /** It ended with an ERR packet, which says nothing of the session. */
  readonly failed: boolean;
  /** Of the newest packet that tells it. */
  readonly status: number | undefined;
  /** Some OK packet told of a change of the session's state. */
  readonly stateChanged: boolean;
}

type Step = 'first' | 'columns' | 'rows' | 'definitions' | 'one';
const FIRST_STEP: Record<Shape, Step> = { results: 'first', rows: 'rows', prepared: 'first', fields: 'rows', one: 'one' };

/** Bytes of a payload that tell what it is: an OK packet's up to its status, with two integers at their longest. */
const TELLING_BYTES = 24;
const EOF_BYTES = 9;

export class ResponseScanner {
  #step: Step;
  /** Header and telling bytes of a packet that came in pieces. */
  readonly #head = Buffer.allocUnsafe(HEADER_BYTES + TELLING_BYTES);
  #held = 0;
  /** Of the packet under way: bytes that are still to come, and whether the next one goes on with it. */
  #rest = 0;
  #goesOn = false;
  #isLast = false;
  #definitions = 0;
  #sequence = 0;
  #failed = false;
  #status: number | undefined;
  #stateChanged = false;
  /** The database said what it must not on such a connection. */
  isBad = false;

  constructor(readonly shape: Shape) {
    this.#step = FIRST_STEP[shape];
  }

  get outcome(): Outcome {
    return { failed: this.#failed, status: this.#status, stateChanged: this.#stateChanged };
  }

  /** The number that a packet after all that came would have; undefined in the middle of one. */
  get nextSequence(): number | undefined {
    return this.#held > 0 || this.#rest > 0 || this.#goesOn ? undefined : (this.#sequence + 1) & 0xff;
  }

  /** How many of the chunk's bytes belong to the answer, when it ends in it; -1 while more is to come. */
  push(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length) {
      if (this.#rest > 0) {
        const taken = Math.min(this.#rest, chunk.length - at);
        this.#rest -= taken;
        at += taken;
      } else {
        at = this.#begin(chunk, at);
      }
      if (this.#held === 0 && this.#rest === 0 && this.#isLast && !this.#goesOn) return at;
    }
    return -1;
  }

  /** Reads the beginning of a packet, or as much of it as there is. */
  #begin(chunk: Buffer, from: number): number {
    if (this.#held === 0 && chunk.length - from >= HEADER_BYTES) {
      const telling = Math.min(chunk.readUIntLE(from, 3), TELLING_BYTES);
      if (chunk.length - from >= HEADER_BYTES + telling) return this.#read(chunk, from, telling);
    }
    let at = from;
    while (at < chunk.length) {
      const telling = this.#held < HEADER_BYTES ? 0 : Math.min(this.#head.readUIntLE(0, 3), TELLING_BYTES);
      if (this.#held < HEADER_BYTES + telling) this.#head[this.#held++] = chunk[at++] as number;
      if (this.#held >= HEADER_BYTES && this.#held === HEADER_BYTES + Math.min(this.#head.readUIntLE(0, 3), TELLING_BYTES)) {
        this.#read(this.#head, 0, this.#held - HEADER_BYTES);
        this.#held = 0;
        break;
      }
    }
    return at;
  }

  /** Returns where the telling bytes end. */
  #read(bytes: Buffer, at: number, telling: number): number {
    const length = bytes.readUIntLE(at, 3);
    this.#sequence = bytes[at + 3] as number;
    const isContinued = this.#goesOn;
    this.#goesOn = length === MAX_PAYLOAD;
    this.#rest = length - telling;
    if (!isContinued) this.#isLast = this.#tell(bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + telling), length);
    return at + HEADER_BYTES + telling;
  }

  /** Whether this packet is the answer's last. */
  #tell(payload: Buffer, length: number): boolean {
    const first = payload[0];
    if (first === FIRST_BYTE.error) {
      this.#failed = true;
      return true;
    }
    const isEof = first === FIRST_BYTE.eof && length < EOF_BYTES;
    if (isEof && length >= 5) this.#status = payload.readUInt16LE(3);
    switch (this.#step) {
      case 'first': return this.#tellFirst(payload);
      case 'columns':
        if (isEof) this.#step = 'rows';
        return isEof && this.#has(STATUS.cursorExists);
      case 'rows':
        if (isEof) this.#step = 'first';
        return isEof && !this.#has(STATUS.moreResults);
      case 'definitions':
        if (isEof) this.#definitions -= 1;
        return this.#definitions === 0;
      case 'one': 
        if (first === FIRST_BYTE.ok) this.#tellOk(payload);
        return true;
    }
  }

  #tellFirst(payload: Buffer): boolean {
    if (payload[0] === FIRST_BYTE.ok && this.shape === 'prepared') {
      this.#definitions = payload.length < 9 ? 0 : Math.sign(payload.readUInt16LE(5)) + Math.sign(payload.readUInt16LE(7));
      this.#step = 'definitions';
      return this.#definitions === 0;
    }
    if (payload[0] === FIRST_BYTE.ok) return this.#tellOk(payload);
    // The file of LOAD DATA LOCAL, which the connection did not offer.
    if (payload[0] === FIRST_BYTE.localInfile || this.shape === 'prepared') this.isBad = true;
    this.#step = 'columns';
    return this.isBad;
  }

  #tellOk(payload: Buffer): boolean {
    const at = lengthEncoded(payload, lengthEncoded(payload, 1).next).next;
    if (at + 2 > payload.length) {
      this.isBad = true;
      return true;
    }
    this.#status = payload.readUInt16LE(at);
    this.#stateChanged ||= this.#has(STATUS.stateChanged);
    return !this.#has(STATUS.moreResults);
  }

  #has(flag: number): boolean {
    return ((this.#status ?? 0) & flag) !== 0;
  }
}
