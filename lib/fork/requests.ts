/**
 * Fork requests of one template: how many are under way, and the rest in order. Runs in whoever starts templates.
 * Each settles exactly once, and what nobody waits for any more is ended.
 */
import { getSystemErrorName } from 'node:util';
import { CartonError, describe } from '../support/errors';
import { killGroup } from '../support/host_process';
import { exitOf, type Exit } from './children';
import { PAYLOAD_LIMIT, type Control } from './control';
import type { ForkRequest } from './inside/life';
import { forker, OP } from './native';

/** Requests under way: a template answers one at a time, and each holds a descriptor of the kernel's small store. */
export const FORKS_AT_ONCE = 32;
/** Bytes of requests under way, unless it is one alone: a socket has room for three times as much by default. */
const BYTES_AT_ONCE = PAYLOAD_LIMIT;
/** Requests that wait. */
export const WAITING_LIMIT = 10_000;

/** A process that was just forked. */
export interface Forked {
  readonly pid: number;
  /** This side's end of the socket that it was handed. */
  readonly socket: number;
  readonly exit: Promise<Exit>;
}

interface Asked {
  readonly payload: string;
  readonly bytes: number;
  resolve(forked: Forked): void;
  reject(error: CartonError): void;
}

export class Requests {
  readonly #control: Control;
  #waiting: Asked[] = [];
  readonly #asked = new Map<number, Asked & { readonly socket: number }>();
  #bytes = 0;
  #lastId = 0;
  #ended: CartonError | undefined;

  constructor(control: Control) {
    this.#control = control;
  }

  /** Rejects with `CARTON_FORK_FAILED`, or with what `end` is given. */
  ask(request: ForkRequest): Promise<Forked> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended);
      if (this.#waiting.length >= WAITING_LIMIT) return reject(failure(`at most ${WAITING_LIMIT} requests that wait`, 'another one'));
      const payload = encode(request);
      this.#waiting.push({ payload, bytes: Buffer.byteLength(payload), resolve, reject });
      this.#next();
    });
  }

  forked(id: number, pid: number): void {
    const asked = this.#answered(id);
    // Of a request that was given up: nobody else knows of this process.
    if (asked === undefined) return killGroup(pid);
    asked.resolve({ pid, socket: asked.socket, exit: exitOf(pid) });
  }

  failed(id: number, errno: number): void {
    const asked = this.#answered(id);
    if (asked === undefined) return;
    forker().close(asked.socket);
    asked.reject(failure('a new process', getSystemErrorName(-errno)));
  }

  /** Nothing is forked any more. */
  end(error: CartonError): void {
    this.#ended ??= error;
    const all: Asked[] = [...this.#asked.values(), ...this.#waiting];
    for (const { socket } of this.#asked.values()) forker().close(socket);
    this.#asked.clear();
    this.#waiting = [];
    for (const { reject } of all) reject(error);
  }

  #answered(id: number): (Asked & { readonly socket: number }) | undefined {
    const asked = this.#asked.get(id);
    if (asked === undefined) return undefined;
    this.#asked.delete(id);
    this.#bytes -= asked.bytes;
    this.#next();
    return asked;
  }

  #next(): void {
    for (let asked = this.#waiting[0]; asked !== undefined; asked = this.#waiting[0]) {
      const { size } = this.#asked;
      if (size >= FORKS_AT_ONCE || (size > 0 && this.#bytes + asked.bytes > BYTES_AT_ONCE)) return;
      this.#waiting.shift();
      this.#send(asked);
    }
  }

  #send(asked: Asked): void {
    let pair: [number, number];
    try {
      // Not before its turn: each takes two descriptors.
      pair = forker().socketPair();
    } catch (cause) {
      return asked.reject(failure('two free descriptors', describe(cause), cause));
    }
    const [ours, theirs] = pair;
    const id = (this.#lastId = (this.#lastId + 1) % 0x7fffffff);
    try {
      this.#control.send(OP.fork, id, asked.payload, [theirs]);
      this.#asked.set(id, { ...asked, socket: ours });
      this.#bytes += asked.bytes;
    } catch (cause) {
      forker().close(ours);
      this.#unsent(asked, cause);
    } finally {
      forker().close(theirs);
    }
  }

  #unsent(asked: Asked, cause: unknown): void {
    if (!['EPIPE', 'ECONNRESET'].includes((cause as NodeJS.ErrnoException).code ?? '')) return asked.reject(failure('a template that reads its orders', describe(cause), cause));
    asked.reject(new CartonError('CARTON_FORK_ENDED', { cause }));
    this.#control.stop();
  }
}

function encode(request: ForkRequest): string {
  let payload: string;
  try {
    payload = JSON.stringify(request);
  } catch (cause) {
    throw failure('an argument that JSON can hold', describe(cause), cause);
  }
  const bytes = Buffer.byteLength(payload);
  if (bytes > PAYLOAD_LIMIT) throw failure(`an argument of at most ${PAYLOAD_LIMIT} bytes as JSON`, `${bytes} with what goes around it`);
  return payload;
}

function failure(expected: string, got: string, cause?: unknown): CartonError {
  return new CartonError('CARTON_FORK_FAILED', { expected, got, cause });
}
