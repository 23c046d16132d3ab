/**
 * A host whose functions keep a ledger in a database through a sidecar, and what the database itself says of it. For the
 * fault runs of sidecars: the test, and the long one of `scripts/soak/sidecar_faults.ts`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import mysql, { type Pool, type RowDataPacket } from 'mysql2/promise';
import { startCluster, type Cluster } from '../../support/cluster';
import { eventually } from '../../support/eventually';
import { startMariadb, type Mariadb } from '../../support/servers/mariadb';
import { startRedis, type Redis } from '../../support/servers/redis';

export const ACCOUNTS = 20;
export const BALANCE = 1_000_000;
/** Of the sidecar, to the database: of the client, and of the wire. */
export const POOL = 4;
/** A worker has clients of its own, each with the connection that it has tried when it booted. */
const WORKERS_CONNECTIONS = 2;
/** Milliseconds until a call gives up that waits for a sidecar. */
const CALL_TIMEOUT_MS = 5_000;

/** Milliseconds. */
const TRANSACTIONS_KEPT_MS = 150;

/** Whether a call was done, or else the code and text of its error; without a code undefined. */
export type Outcome = { readonly done: unknown } | { readonly code: string | undefined; readonly text: string };

interface Told {
  readonly done?: unknown;
  readonly failed?: { readonly code: string | null; readonly message: string; readonly stack: string };
}

export class LedgerHost {
  readonly #admin: Pool;

  private constructor(readonly cluster: Cluster, readonly database: Mariadb, readonly redis: Redis) {
    this.#admin = adminOf(database);
  }

  static async start(): Promise<LedgerHost> {
    const [database, redis] = await Promise.all([startMariadb({ durable: true }), startRedis()]);
    try {
      await makeTables(database);
      const { host, port, user, password, database: name } = database;
      const cluster = await startCluster({
        application: 'sidecar-app', workers: 1, environment: { SIDECAR_APP_ORM: 'true' },
        carton: { sidecar: { enable: true, clients: {}, callTimeoutMs: CALL_TIMEOUT_MS }, functionDefaults: { concurrency: 4, maxInstances: 4, timeoutMs: 30_000, idleTimeoutMs: 3_600_000 } },
        config: {
          mysql: { client: { host, port, user, password, database: name, connectionLimit: POOL } },
          redis: { client: { host: redis.host, port: redis.port, password: '', db: 0 } },
          sequelize: { dialect: 'mysql', host, port, username: user, password, database: name, logging: false, timezone: '+00:00', pool: { max: POOL, acquire: CALL_TIMEOUT_MS } },
        },
      });
      return new LedgerHost(cluster, database, redis);
    } catch (error) {
      await Promise.all([database.stop(), redis.stop()]);
      throw error;
    }
  }

  /** Calls a method of the application's ledger in a function process. Never rejects. */
  async call(method: string, ...args: readonly unknown[]): Promise<Outcome> {
    try {
      const answer = await this.cluster.invoke('ledger', [method, ...args]);
      if (answer.status !== 200) return { code: answer.code, text: `${answer.status} ${answer.text}` };
      const { done, failed } = answer.json<Told>();
      return failed === undefined ? { done } : { code: failed.code ?? undefined, text: failed.stack };
    } catch (error) {
      return { code: undefined, text: `no answer: ${String(error)}` };
    }
  }

  /** Resolves with the pid of the sidecar that runs, when there is one. */
  sidecar(): Promise<number> {
    return eventually('a sidecar', () => this.cluster.processes().find(({ kind }) => kind === 'sidecar')?.pid);
  }

  async rows<T>(sql: string, values: readonly (string | number)[] = []): Promise<T[]> {
    const [rows] = await this.#admin.query<RowDataPacket[]>(sql, [...values]);
    return rows as T[];
  }

  async count(from: string, values: readonly (string | number)[] = []): Promise<number> {
    const [row] = await this.rows<{ n: number }>(`SELECT COUNT(*) AS n FROM ${from}`, values);
    return Number(row?.n);
  }

  /** Transactions that are open in the database, which gathers them anew for whoever has not asked for a tenth of a second. */
  async openTransactions(): Promise<number> {
    await delay(TRANSACTIONS_KEPT_MS);
    return this.count('information_schema.innodb_trx');
  }

  /** Runs `work` while nobody can change an account from that one on. Then it lets them go. */
  async locked<T>(from: number, work: () => Promise<T>): Promise<T> {
    const connection = await this.#admin.getConnection();
    try {
      await connection.beginTransaction();
      await connection.query('SELECT balance FROM account WHERE id >= ? FOR UPDATE', [from]);
      return await work();
    } finally {
      // The lock ends before whoever waits for it is waited for.
      await connection.rollback();
      connection.destroy();
    }
  }

  /** Statements that the database works on, of those with that text inside. */
  running(text: string): Promise<number> {
    return this.count('information_schema.processlist WHERE user = ? AND command <> \'Sleep\' AND LOCATE(?, info) > 0', [this.database.user, text]);
  }

  /** Resolves when the database has no open transaction, and no more connections than the sidecar's pools and the worker have. */
  async settled(): Promise<void> {
    const limit = 2 * POOL + WORKERS_CONNECTIONS;
    let seen: number[] = [];
    await eventually(`no open transaction and at most ${limit} connections`, async () => {
      seen = [await this.openTransactions(), await this.count('information_schema.processlist WHERE user = ?', [this.database.user])];
      return seen[0] === 0 && (seen[1] as number) <= limit;
    }, { seen: () => seen });
  }

  /**
   * Has as many transactions wait at once as the sidecar's pools have connections, so none of those is lost to whoever
   * has died, and then lets them end. Resolves with the outcomes; `request` tells their ids.
   */
  async full(request: (index: number) => string): Promise<Outcome[]> {
    const transfers = await this.locked(1, async () => {
      const asked = Array.from({ length: 2 * POOL }, (_, index) => this.call(index < POOL ? 'transfer' : 'transferByModel', index + 1, index + 1 + 2 * POOL, 1, { request: request(index) }));
      await eventually('all connections in transactions', async () => (await this.running('account')) === 2 * POOL);
      return asked;
    });
    return Promise.all(transfers);
  }

  async stop(): Promise<void> {
    await this.cluster.stop().finally(() => this.destroy());
  }

  /** Ends whatever is left. */
  async destroy(): Promise<void> {
    await this.cluster.destroy();
    await this.#admin.end();
    await Promise.all([this.database.stop(), this.redis.stop()]);
  }
}

/** As another user, so that it is not counted among the host's connections. */
function adminOf({ socketPath, database }: Mariadb): Pool {
  return mysql.createPool({ socketPath, user: 'root', database, connectionLimit: 4 });
}

async function makeTables(database: Mariadb): Promise<void> {
  const admin = adminOf(database);
  try {
    await admin.query('CREATE TABLE account (id INT PRIMARY KEY, balance INT NOT NULL) ENGINE=InnoDB');
    // The caller's id is no key: what is there twice is to be seen.
    await admin.query('CREATE TABLE transfer (id INT PRIMARY KEY AUTO_INCREMENT, from_id INT, to_id INT, amount INT, at DATETIME, request VARCHAR(40), KEY (request)) ENGINE=InnoDB');
    await admin.query('CREATE TABLE note (id INT PRIMARY KEY AUTO_INCREMENT, request VARCHAR(40), KEY (request)) ENGINE=InnoDB');
    await admin.query('INSERT INTO account SELECT seq, ? FROM seq_1_to_' + String(ACCOUNTS), [BALANCE]);
  } finally {
    await admin.end();
  }
}
