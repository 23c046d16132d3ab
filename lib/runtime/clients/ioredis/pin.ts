/**
 * The connection that WATCH or MULTI has got for itself: what follows goes there, until EXEC, DISCARD or UNWATCH. It runs
 * in instances.
 *
 * A pin whose connection is gone does no more than fail: a transaction whose WATCH is lost must not run without it.
 */
import type { RemoteObject } from '../../../rpc/remote';
import { isOpen, NOTHING_OPEN, openAfter, REDIS, type Open, type RedisCommand } from '../../../protocol/redis';
import { codeOf } from '../../../support/errors';
import type { ClientLine } from '../client_line';

const GONE = new Set(['CARTON_RPC_CLOSED', 'CARTON_RPC_OBJECT_GONE', 'CARTON_SIDECAR_LOST']);

export class Pin {
  readonly #object: Promise<RemoteObject>;
  #open: Open = NOTHING_OPEN;
  #isGone = false;

  constructor(line: ClientLine) {
    this.#object = line.call(REDIS.pin, []) as Promise<RemoteObject>;
    this.#object.catch(() => (this.#isGone = true));
  }

  /** Whether these begin what needs a pin. */
  static isFor(commands: readonly RedisCommand[]): boolean {
    // A WATCH inside a batch may leave nothing open, and still wants its connection until then.
    return commands.some((command) => openAfter([command], NOTHING_OPEN).isWatching) || isOpen(openAfter(commands, NOTHING_OPEN));
  }

  /** Whether these belong here. Once the connection is gone only what ends the transaction does, and fails. */
  takes(commands: readonly RedisCommand[]): boolean {
    return !this.#isGone || this.#open.isQueueing || !isOpen(openAfter(commands, this.#open));
  }

  /** Notes what they open and end. Returns whether nothing is open after them. */
  begin(commands: readonly RedisCommand[]): boolean {
    this.#open = openAfter(commands, this.#open);
    return !isOpen(this.#open);
  }

  async call<T>(call: (object: RemoteObject) => Promise<T>): Promise<T> {
    try {
      return await call(await this.#object);
    } catch (error) {
      if (GONE.has(codeOf(error) ?? '')) this.#isGone = true;
      throw error;
    }
  }

  end(): void {
    this.#object.then((object) => object.end(), () => undefined);
  }
}
