/**
 * Serves a client of ali-rds (egg-mysql) to one function process: its connections, and none of what is built upon them.
 * SQL comes as finished text; building it, hooks, logs and scopes are the function process's
 * (lib/runtime/clients/ali_rds.ts). It runs in sidecars.
 *
 * - Local and synchronous there: building and escaping of SQL, literals, hooks, logging, scopes of transactions.
 * - Pins a connection here: `getConnection` and transactions, until they are released. A query of the pool does not.
 * - Streams: nothing; ali-rds gives whole results.
 *
 * Guarantees, each with a test that names it:
 * 1. Only what is listed here can be called.
 * 2. A connection that its user has not released, or whose user is gone, is rolled back at once and returns to the
 *    pool; where a query still runs, or the rollback fails, it is closed.
 * 3. No connection goes to the next user with what the last one left in it (sql_effect.ts): such a one is closed. That
 *    costs the pool a new connection, and frees locks and temporary tables of all kinds for sure.
 * 4. Waiting for a connection is bounded as in the client itself (`poolWaitTimeout`, `queueLimit`), and by the caller's
 *    own deadline; how many one process may have, by `LIMITS.databaseConnections`.
 *
 * The driver's pool asks each connection that it gives out whether it lives, which takes as long as a short query. One that
 * has answered within `LIMITS.connectionTrustMs` is not asked again: whether it has been closed since, its socket tells.
 *
 * A query of the pool whose caller has gone runs to its end, as with the client itself: were its connection closed, the
 * database would go on with it all the same, beyond the limit of the pool.
 */
import { systemClock, type Clock } from '../../../lib/support/clock';
import { CartonError } from '../../../lib/support/errors';
import { LIMITS } from '../../../lib/support/limits';
import { Held, type ServedCall, type Target } from '../../../lib/rpc/remote_objects';
import { effectOf } from './sql_effect';

/** As ali-rds gives it: the driver's connection, whose methods with callbacks it has turned into such with promises. */
interface RdsConnection {
  readonly conn: DriverConnection;
  release(): void;
}

interface DriverConnection {
  readonly threadId: number | null;
  readonly config?: { readonly queryFormat?: unknown };
  format?: (sql: string) => string;
  query(request: object): Promise<unknown>;
  beginTransaction(): Promise<unknown>;
  commit(): Promise<unknown>;
  rollback(): Promise<unknown>;
  ping(options: object, callback: (error: Error | null, result?: unknown) => void): void;
  destroy(): void;
}

interface RdsClient {
  getConnection(): Promise<RdsConnection>;
}

/** For one session: it counts what that one has. */
export function serveRds(client: object, clock: Clock = systemClock): Target {
  return new RdsTarget(client as RdsClient, clock);
}

class RdsTarget implements Target {
  readonly #client: RdsClient;
  readonly #clock: Clock;
  #connections = 0;

  constructor(client: RdsClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** Throws `CARTON_RPC_NO_METHOD`. */
  invoke(method: string, args: readonly unknown[], call: ServedCall): unknown {
    switch (method) {
      case 'query':
        return this.#query(args, call);
      case 'connection':
        return this.#connection(args[0] === true, call);
      default:
        throw new CartonError('CARTON_RPC_NO_METHOD', { got: method.slice(0, 100) });
    }
  }

  async #query(args: readonly unknown[], call: ServedCall): Promise<unknown> {
    const lease = await this.#lease(call);
    try {
      return await lease.query(args);
    } finally {
      lease.end();
    }
  }

  /** `begins`: a transaction is the first that it is wanted for. */
  async #connection(begins: boolean, call: ServedCall): Promise<Held> {
    if (this.#connections >= LIMITS.databaseConnections) {
      throw new CartonError('CARTON_RPC_TOO_MANY_OBJECTS', { of: 'connections of a database', expected: `at most ${LIMITS.databaseConnections}`, got: 'another one' });
    }
    this.#connections += 1;
    let lease: Lease | undefined;
    try {
      lease = await this.#lease(call);
      const begun = begins ? await begin(lease) : undefined;
      if (call.isCancelled) throw new CartonError('CARTON_RPC_CANCELLED');
      return new HeldConnection(lease, begun, () => (this.#connections -= 1)).held;
    } catch (error) {
      this.#connections -= 1;
      lease?.end();
      throw error;
    }
  }

  async #lease(call: ServedCall): Promise<Lease> {
    const lease = new Lease(await this.#client.getConnection(), this.#clock);
    // Whoever waited for it may be gone, and nobody would end it.
    if (!call.isCancelled) return lease;
    lease.end();
    throw new CartonError('CARTON_RPC_CANCELLED');
  }
}

/** How a transaction began; the error belongs to whoever asks for it, and not to getting a connection. */
async function begin(lease: Lease): Promise<object> {
  try {
    return { result: await lease.beginTransaction() };
  } catch (error) {
    return { error };
  }
}

/** A connection of the pool, while somebody has it. */
class Lease {
  readonly #connection: RdsConnection;
  readonly #driver: DriverConnection;
  readonly #clock: Clock;
  #running = 0;
  #isInTransaction = false;
  #hasState = false;
  /** Its last query, without an error. */
  #hasAnswered = false;

  constructor(connection: RdsConnection, clock: Clock) {
    this.#connection = connection;
    this.#driver = connection.conn;
    this.#clock = clock;
    restore(this.#driver, 'ping');
    // What comes is formatted; a format of the application's own must not see it again.
    if (typeof this.#driver.config?.queryFormat === 'function') this.#driver.format = (sql) => sql;
  }

  get threadId(): number | null {
    return this.#driver.threadId;
  }

  /** Arguments: text, and options of the driver's for one query. */
  async query([sql, options]: readonly unknown[]): Promise<unknown> {
    const effect = effectOf(String(sql));
    if (effect === 'state') this.#hasState = true;
    if (effect === 'transaction') this.#isInTransaction = true;
    return plain(await this.#run(() => this.#driver.query({ ...(options as object | undefined), sql: String(sql) })));
  }

  async beginTransaction(): Promise<unknown> {
    this.#isInTransaction = true;
    return plain(await this.#run(() => this.#driver.beginTransaction()));
  }

  async endTransaction(method: 'commit' | 'rollback'): Promise<unknown> {
    const result = await this.#run(() => this.#driver[method]());
    this.#isInTransaction = false;
    return plain(result);
  }

  ping(): Promise<unknown> {
    return this.#run(() => new Promise((resolve, reject) => this.#driver.ping({}, (error, result) => (error ? reject(error) : resolve(plain(result))))));
  }

  destroy(): void {
    this.#driver.destroy();
  }

  /** Once. */
  end(): void {
    if (this.#running > 0 || this.#hasState) return this.destroy();
    if (!this.#isInTransaction) return this.#release();
    this.#driver.query({ sql: 'ROLLBACK', timeout: LIMITS.rollbackMs }).then(() => this.#release(), () => this.destroy());
  }

  #release(): void {
    restore(this.#driver, 'format');
    if (this.#hasAnswered) this.#trust();
    this.#connection.release();
  }

  #trust(): void {
    const driver = this.#driver;
    const until = this.#clock.now() + LIMITS.connectionTrustMs;
    const ping = driver.ping.bind(driver);
    driver.ping = (options, callback) => (this.#clock.now() < until ? process.nextTick(callback, null) : ping(options, callback));
  }

  async #run(send: () => Promise<unknown>): Promise<unknown> {
    this.#running += 1;
    this.#hasAnswered = false;
    try {
      const result = await send();
      this.#hasAnswered = true;
      return result;
    } finally {
      this.#running -= 1;
    }
  }
}

/** Ended by whoever has it, or with the session. */
class HeldConnection implements Target {
  readonly held: Held;
  readonly #lease: Lease;

  constructor(lease: Lease, begun: object | undefined, onEnd: () => void) {
    this.#lease = lease;
    this.held = new Held(this, { threadId: lease.threadId, begun }, () => {
      onEnd();
      lease.end();
    });
  }

  /** Throws `CARTON_RPC_NO_METHOD`. */
  invoke(method: string, args: readonly unknown[]): unknown {
    switch (method) {
      case 'query':
        return this.#lease.query(args);
      case 'beginTransaction':
        return this.#lease.beginTransaction();
      case 'commit':
      case 'rollback':
        return this.#lease.endTransaction(method);
      case 'ping':
        return this.#lease.ping();
      case 'destroy':
        return this.#lease.destroy();
      default:
        throw new CartonError('CARTON_RPC_NO_METHOD', { got: method.slice(0, 100) });
    }
  }
}

/** Its class's own method again. */
function restore(driver: DriverConnection, method: 'format' | 'ping'): void {
  if (Object.hasOwn(driver, method)) delete (driver as Partial<DriverConnection>)[method];
}

/** Without the driver's classes, which do not travel, and would keep results from going as JSON. */
function plain(result: unknown): unknown {
  if (Array.isArray(result)) return result.map(plain);
  return typeof result === 'object' && result !== null ? { ...result } : result;
}
