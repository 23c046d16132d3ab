/**
 * The begin record: a small file per instance in which it notes, just before it calls a function, that this
 * invocation has begun. What began must never be tried again, what did not begin may; after a kill −9 the file is the
 * only witness. A write to the page cache survives the process and costs about 2 µs, where a message to the worker
 * would cost both sides a wake-up.
 *
 * Layout: one slot of 8 bytes per session (a worker's), little endian: the highest call id that was begun. Sessions
 * send their invocations in the order of their ids and instances begin them in that order; an invocation whose body
 * came as a stream begins out of order and is told by an event of its own instead.
 */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';

const SLOT_BYTES = 8;

/** Whether call `id` is at or before `begun`, for ids that wrap at 2^32. */
export function isAtOrBefore(id: number, begun: number): boolean {
  return begun !== 0 && ((id - begun) | 0) <= 0;
}

/** The instance's side. */
export class BeginRecord {
  readonly #fd: number;
  readonly #bytes = Buffer.alloc(SLOT_BYTES);

  /** Creates the file, readable by this user alone. */
  constructor(path: string) {
    this.#fd = openSync(path, 'w', 0o600);
  }

  /** Throws the system's error, with which the invocation must not begin: there would be no witness of it. */
  begun(slot: number, callId: number): void {
    this.#bytes.writeUInt32LE(callId, 0);
    writeSync(this.#fd, this.#bytes, 0, SLOT_BYTES, slot * SLOT_BYTES);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** The worker's side: opened with the session, so that it can be read after the file was removed. */
export class BeginWitness {
  readonly #fd: number;
  readonly #slot: number;

  private constructor(fd: number, slot: number) {
    this.#fd = fd;
    this.#slot = slot;
  }

  /**
   * Undefined where there is no record to read: the instance has just ended and taken it along, this process is out of
   * descriptors, or something else lies there. Without a witness whatever was sent counts as begun, which is safe.
   */
  static open(path: string, slot: number): BeginWitness | undefined {
    let fd: number;
    try {
      // Of a pipe that lies there in the file's place, an open that blocks would never return.
      fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch {
      return undefined;
    }
    if (fstatSync(fd).isFile()) return new BeginWitness(fd, slot);
    closeSync(fd);
    return undefined;
  }

  /** The highest call id that was begun on this session; 0 for none. */
  read(): number {
    const bytes = Buffer.alloc(SLOT_BYTES);
    readSync(this.#fd, bytes, 0, SLOT_BYTES, this.#slot * SLOT_BYTES);
    return bytes.readUInt32LE(0);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
