/**
 * Fork requests of one template: how many are under way, and the rest in order. Runs in whoever starts templates.
 * Each settles exactly once, and what nobody waits for any more is ended.
 */
import { getSystemErrorName } from 'node:util';
import { CartonError, describe } from '../support/errors';
import { killGroup } from '../support/host_process';
import { exitOf, type Exit } from './children';
import { PAYLOAD_LIMIT, type Control } from './control';
import type { Beginning, ForkOrder } from './inside/life';
import { forker, OP } from './native';

/** Requests under way: a template answers one at a time, and each holds a descriptor of the kernel's small store. */
export const FORKS_AT_ONCE = 32;
/** Requests that wait. */
export const WAITING_LIMIT = 10_000;

/** A process that was just forked. */
export interface Forked {
  readonly pid: number;
  /** This side's end of the socket that it was handed. */
  readonly socket: number;
  readonly exit: Promise<Exit>;
}

/** What a fork is told, and the descriptors that go with it: copies, the caller keeps what it had. */
export interface Told {
  readonly beginning: Beginning;
  readonly descriptors: readonly number[];
}

interface Asked {
  readonly kind: ForkOrder['kind'];
  /** Undefined: it is forked ahead of time, and told later. */
  readonly told: { readonly payload: string; readonly descriptors: readonly number[] } | undefined;
  resolve(forked: Forked): void;
  reject(error: CartonError): void;
}

export class Requests {
  readonly #control: Control;
  #waiting: Asked[] = [];
  readonly #asked = new Map<number, Asked & { readonly socket: number }>();
  #lastId = 0;
  #ended: CartonError | undefined;

  constructor(control: Control) {
    this.#control = control;
  }

  /**
   * One that is told nothing waits for `begin`. Rejects with `CARTON_FORK_ARGUMENT`, `CARTON_FORK_FAILED`, or with what
   * `end` is given.
   */
  ask(kind: ForkOrder['kind'], told?: Told): Promise<Forked> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended);
      if (this.#waiting.length >= WAITING_LIMIT) return reject(failure(`at most ${WAITING_LIMIT} requests that wait`, 'another one'));
      const encoded = told && { payload: encode(told.beginning), descriptors: told.descriptors };
      this.#waiting.push({ kind, told: encoded, resolve, reject });
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
    this.#next();
    return asked;
  }

  #next(): void {
    while (this.#asked.size < FORKS_AT_ONCE) {
      const asked = this.#waiting.shift();
      if (asked === undefined) return;
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
    const { kind, told } = asked;
    try {
      // What it is to be waits for it in its own socket.
      if (told !== undefined) forker().send(ours, OP.begin, 0, told.payload, told.descriptors);
      this.#control.send(OP.fork, id, JSON.stringify({ kind, isAhead: told === undefined } satisfies ForkOrder), [theirs]);
      this.#asked.set(id, { ...asked, socket: ours });
    } catch (cause) {
      forker().close(ours);
      this.#unsent(asked, cause);
    } finally {
      forker().close(theirs);
    }
  }

  #unsent(asked: Asked, cause: unknown): void {
    if (!isGone(cause)) return asked.reject(failure('a template that reads its orders', describe(cause), cause));
    asked.reject(new CartonError('CARTON_FORK_ENDED', { cause }));
    this.#control.stop();
  }
}

/**
 * Tells a process that waits for it what it is to be. Throws `CARTON_FORK_ARGUMENT`, `CARTON_FORK_FAILED` or
 * `CARTON_FORK_ENDED`.
 */
export function begin({ pid, socket }: Forked, { beginning, descriptors }: Told, isWaiting: boolean): void {
  const payload = encode(beginning);
  if (!isWaiting) throw new CartonError('CARTON_FORK_ENDED', { of: `process ${pid}` });
  try {
    forker().send(socket, OP.begin, 0, payload, descriptors);
  } catch (cause) {
    if (isGone(cause)) throw new CartonError('CARTON_FORK_ENDED', { of: `process ${pid}`, cause });
    throw failure('a process that reads its order', describe(cause), cause);
  }
}

function isGone(error: unknown): boolean {
  return ['EPIPE', 'ECONNRESET'].includes((error as NodeJS.ErrnoException).code ?? '');
}

function encode(beginning: Beginning): string {
  let payload: string;
  try {
    payload = JSON.stringify(beginning);
  } catch (cause) {
    throw new CartonError('CARTON_FORK_ARGUMENT', { expected: 'what JSON can hold', got: describe(cause), cause });
  }
  const bytes = Buffer.byteLength(payload);
  if (bytes > PAYLOAD_LIMIT) throw new CartonError('CARTON_FORK_ARGUMENT', { expected: `at most ${PAYLOAD_LIMIT} bytes as JSON`, got: `${bytes} with what goes around it` });
  return payload;
}

function failure(expected: string, got: string, cause?: unknown): CartonError {
  return new CartonError('CARTON_FORK_FAILED', { expected, got, cause });
}
