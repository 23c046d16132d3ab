/**
 * Objects that one process holds for another one: what is offered by a reference, and what stands for it at the other end.
 */
import { CartonError } from '../support/errors';
import { LIMITS } from '../support/limits';

/** What a call is to somebody who serves it. */
export interface ServedCall {
  /** Aborted when the caller takes the call back, or is gone. */
  readonly signal: AbortSignal;
  /** Whether that has happened; costs nothing, as the signal does that is made when it is asked for. */
  readonly isCancelled: boolean;
  /** Milliseconds that the caller waits, as it said when it called; undefined: any time. */
  readonly remainingMs: number | undefined;
  /** 25 bytes: trace id, span id, flags. */
  readonly trace: Buffer | undefined;
}

/** Whatever takes calls from another process. What it throws travels to the caller. */
export interface Target {
  /** Resolves with data, with a `Held`, or with a stream. `method` is the peer's word: look it up, never call it blindly. */
  invoke(method: string, args: readonly unknown[], call: ServedCall): unknown;
}

/** An object that stays in this process while the other one uses it. One that is handed out twice is the same object there. */
export class Held {
  readonly #holders = new Set<HeldObjects>();

  constructor(
    readonly target: Target,
    /** What else the other side is to know of it; data. */
    readonly data?: unknown,
    /** Once, when it has ended: by this side, by the other one, or with the session. */
    readonly onEnd: () => void = () => undefined,
  ) {}

  heldBy(holder: HeldObjects): void {
    this.#holders.add(holder);
  }

  /** This side ends it: whoever has it will hear `CARTON_RPC_OBJECT_GONE`. */
  end(): void {
    for (const holder of this.#holders) holder.release(this);
  }
}

/** All that one side of a session holds for the other. */
export class HeldObjects {
  readonly #held = new Map<number, Held>();
  readonly #ids = new Map<Held, number>();
  #lastId = 0;

  get size(): number {
    return this.#held.size;
  }

  get(id: number): Held | undefined {
    return this.#held.get(id);
  }

  /** The id of one that was handed out. */
  knownIdOf(held: Held): number | undefined {
    return this.#ids.get(held);
  }

  /** Throws `CARTON_RPC_TOO_MANY_OBJECTS`. */
  idOf(held: Held): number {
    const known = this.knownIdOf(held);
    if (known !== undefined) return known;
    if (this.#held.size >= LIMITS.remoteObjects) throw new CartonError('CARTON_RPC_TOO_MANY_OBJECTS', { expected: `at most ${LIMITS.remoteObjects}`, got: 'another one' });
    // Never one that was another object's: whoever still has that must not reach this.
    const id = (this.#lastId += 1);
    this.#held.set(id, held);
    this.#ids.set(held, id);
    held.heldBy(this);
    return id;
  }

  end(id: number): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    this.#held.delete(id);
    this.#ids.delete(held);
    held.onEnd();
  }

  /** It was handed out, or not. */
  release(held: Held): void {
    const id = this.#ids.get(held);
    if (id !== undefined) this.end(id);
  }

  endAll(): void {
    for (const id of [...this.#held.keys()]) this.end(id);
  }
}
