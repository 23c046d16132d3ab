/**
 * A pool of the `mysql` driver, and its connections, that are in a sidecar: the members that ali-rds and its users touch,
 * for ali_rds.ts. Runs in function processes.
 *
 * Nothing here keeps a connection that its user has lost: the sidecar gets it back when it is collected.
 */
import type { RemoteObject } from '../../rpc/remote';
import type { ClientLine } from './client_line';
import { RemoteDriver, settle, type Callback, type ConnectionConfig, type Driver, type QueryArguments } from './rds_driver';

export interface PoolConfig {
  readonly connectionConfig: ConnectionConfig;
}

/** What the sidecar tells of a connection. */
interface ConnectionData {
  readonly threadId: number | null;
  /** Of the transaction that it was wanted for. */
  readonly begun?: { readonly result?: unknown; readonly error?: unknown };
}

export class RemotePool extends RemoteDriver {
  readonly config: PoolConfig;
  /** Whether the next connection is wanted for a transaction. */
  isToBegin = false;
  /** Listeners to new connections that do nothing to them. */
  idleListeners = 0;
  // For `stats` of ali-rds: what this process has, since the pool is not its alone.
  readonly _allConnections = { length: 0 };
  readonly _acquiringConnections = { length: 0 };
  readonly _freeConnections = { length: 0 };
  readonly _connectionQueue = { length: 0 };
  readonly #driver: Driver;
  readonly #line: ClientLine;

  constructor(line: ClientLine, driver: Driver, config: PoolConfig) {
    super(driver, config.connectionConfig);
    this.config = config;
    this.#driver = driver;
    this.#line = line;
  }

  query(...args: QueryArguments): unknown {
    // Whoever prepares new connections wants this query to run on a prepared one.
    if (this.listenerCount('connection') > this.idleListeners) return settle(() => this.#queryPrepared(args), args);
    return settle(() => this.#line.call('query', this.request(args)), args);
  }

  getConnection(callback: Callback): void {
    settle(() => this.#connection(), [callback]);
  }

  /** It is not this process's. */
  end(callback?: Callback): void {
    settle(() => Promise.resolve(), [callback]);
  }

  async #connection(): Promise<RemoteConnection> {
    this._allConnections.length += 1;
    this._acquiringConnections.length += 1;
    try {
      const object = (await this.#line.call('connection', [this.isToBegin])) as RemoteObject;
      const connection = new RemoteConnection(object, { driver: this.#driver, line: this.#line, pool: this });
      this.emit('connection', connection);
      this.emit('acquire', connection);
      return connection;
    } catch (error) {
      this._allConnections.length -= 1;
      throw error;
    } finally {
      this._acquiringConnections.length -= 1;
    }
  }

  async #queryPrepared(args: QueryArguments): Promise<unknown> {
    const connection = await this.#connection();
    try {
      return await connection.queried(args);
    } finally {
      connection.release();
    }
  }
}

interface Origin {
  readonly driver: Driver;
  readonly line: ClientLine;
  readonly pool: RemotePool;
}

export class RemoteConnection extends RemoteDriver {
  readonly threadId: number | null;
  readonly config: ConnectionConfig;
  readonly #object: RemoteObject;
  readonly #origin: Origin;
  #begun: ConnectionData['begun'];
  #openCalls = 0;
  #isReleased = false;

  constructor(object: RemoteObject, origin: Origin) {
    const { connectionConfig } = origin.pool.config;
    super(origin.driver, connectionConfig);
    const { threadId, begun } = object.data as ConnectionData;
    this.threadId = threadId;
    this.config = connectionConfig;
    this.#object = object;
    this.#origin = origin;
    this.#begun = begun;
  }

  query(...args: QueryArguments): void {
    settle(() => this.queried(args), args);
  }

  /** A promise, whatever ali-rds has made of `query`. */
  queried(args: QueryArguments): Promise<unknown> {
    return this.#call('query', this.request(args));
  }

  beginTransaction(...args: readonly unknown[]): void {
    const begun = this.#begun;
    this.#begun = undefined;
    settle(() => (begun === undefined ? this.#call('beginTransaction') : begunAlready(begun)), args);
  }

  commit(...args: readonly unknown[]): void {
    settle(() => this.#call('commit'), args);
  }

  rollback(...args: readonly unknown[]): void {
    settle(() => this.#call('rollback'), args);
  }

  ping(...args: readonly unknown[]): void {
    settle(() => this.#call('ping'), args);
  }

  /** What is under way comes to its end before. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#origin.pool._allConnections.length -= 1;
    this.#origin.pool.emit('release', this);
    this.#endIfIdle();
  }

  /** As with the driver, what is under way never comes to an end: it is late in the end. */
  destroy(): void {
    settle(() => this.#call('destroy'), []);
    this.release();
    this.#object.end();
  }

  async #call(method: string, args: readonly unknown[] = []): Promise<unknown> {
    this.#openCalls += 1;
    try {
      return await this.#origin.line.callOn(this.#object, method, args);
    } finally {
      this.#openCalls -= 1;
      this.#endIfIdle();
    }
  }

  #endIfIdle(): void {
    if (this.#isReleased && this.#openCalls === 0) this.#object.end();
  }
}

async function begunAlready({ result, error }: NonNullable<ConnectionData['begun']>): Promise<unknown> {
  if (error !== undefined) throw error as Error;
  return result;
}
