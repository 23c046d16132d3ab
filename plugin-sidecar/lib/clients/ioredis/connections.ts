/**
 * Connections that are duplicates of an ioredis client, each for one user at a time. It runs in sidecars.
 *
 * 1. There are never more than the limit.
 * 2. One that was interrupted, or has something open, is destroyed and never used again; so is one that Redis has closed:
 *    it does not connect again, since its WATCH or what it blocked on is lost.
 */
import { CartonError } from '../../../../lib/support/errors';
import { LIMITS } from '../../../../lib/support/limits';

export type Method = (...args: unknown[]) => unknown;

/** What is used of an ioredis client, Redis or Cluster, from version 4 on. */
export interface RedisClient {
  readonly status: string;
  readonly isCluster?: boolean;
  readonly scriptsSet: Record<string, unknown>;
  on(event: string, listener: (...args: never[]) => void): unknown;
  once(event: string, listener: (...args: never[]) => void): unknown;
  removeListener(event: string, listener: (...args: never[]) => void): unknown;
  duplicate(...options: unknown[]): RedisClient;
  disconnect(): void;
  getBuiltinCommands(): string[];
  defineCommand(name: string, definition: object): void;
  pipeline(): Batch;
  multi(): Batch;
  multi(options: { pipeline: false }): Promise<unknown>;
}

export interface Batch {
  exec(): Promise<unknown>;
}

/** One that does not come back by itself. */
const ONCE = { lazyConnect: false, enableOfflineQueue: true, enableAutoPipelining: false, retryStrategy: null, clusterRetryStrategy: null };

export class Connections {
  readonly #client: RedisClient;
  readonly #limit: number;
  readonly #all = new Set<RedisClient>();
  readonly #idle: RedisClient[] = [];

  constructor(client: RedisClient, limit: number = LIMITS.redisConnections) {
    this.#client = client;
    this.#limit = limit;
    client.once('end', () => {
      for (const connection of this.#all) connection.disconnect();
    });
  }

  /** One that is ready. Rejects with `CARTON_SIDECAR_TOO_MANY_CONNECTIONS`, or with why it cannot connect. */
  async take(signal: AbortSignal): Promise<RedisClient> {
    return this.#idle.pop() ?? (await reached(this.make(ONCE), { event: 'ready', signal }));
  }

  /** For whoever comes next. */
  give(connection: RedisClient): void {
    if (connection.status === 'ready' && this.#idle.length < LIMITS.redisIdleConnections) this.#idle.push(connection);
    else connection.disconnect();
  }

  /** One that `take` will not give. Throws `CARTON_SIDECAR_TOO_MANY_CONNECTIONS`. */
  make(options: object): RedisClient {
    const spare = this.#all.size < this.#limit ? undefined : this.#idle.pop();
    if (spare !== undefined) this.#forget(spare);
    if (this.#all.size >= this.#limit) throw new CartonError('CARTON_SIDECAR_TOO_MANY_CONNECTIONS', { expected: `at most ${this.#limit}`, got: 'another one' });
    const connection = this.#client.isCluster === true ? this.#client.duplicate([], options) : this.#client.duplicate(options);
    this.#all.add(connection);
    connection.once('end', () => this.#forget(connection));
    // Its commands fail, and say why.
    connection.on('error', () => undefined);
    return connection;
  }

  #forget(connection: RedisClient): void {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    if (connection.status !== 'end') connection.disconnect();
  }
}

interface Reaching {
  readonly event: string;
  /** Aborted when nobody waits for it any more. */
  readonly signal: AbortSignal;
}

/**
 * Resolves at the event, or rejects with why it will not come. ioredis sends commands of its own until it is ready, which
 * must not become part of a transaction, and cannot be sent after a subscription.
 */
export function reached(connection: RedisClient, { event, signal }: Reaching): Promise<RedisClient> {
  return new Promise((resolve, reject) => {
    let cause = new Error('Connection is closed.');
    const giveUp = (): void => connection.disconnect();
    connection.on('error', (error: Error) => (cause = error));
    connection.once(event, () => {
      signal.removeEventListener('abort', giveUp);
      resolve(connection);
    });
    connection.once('end', () => reject(cause));
    signal.addEventListener('abort', giveUp);
    if (signal.aborted) giveUp();
  });
}
