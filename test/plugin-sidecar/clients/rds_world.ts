/**
 * A client of ali-rds that a sidecar would hold, what stands for it in a function process, and the same client used
 * directly: on one real database, and over a real socket. For tests of the two.
 */
import { createRequire } from 'node:module';
import type { RDSClient } from 'ali-rds';
import { Remote, type RemoteObject } from '../../../lib/rpc/remote';
import { rdsStandIn } from '../../../lib/runtime/clients/ali_rds';
import { serveRds } from '../../../plugin-sidecar/lib/clients/ali_rds';
import { FakeClock } from '../../support/fake_clock';
import { eventually } from '../../support/eventually';
import { sessionPair } from '../../support/session_pair';
import type { Mariadb } from '../../support/servers/mariadb';

/** As the plugin's own files do. */
export const requireAsPlugin = createRequire(require.resolve('egg-mysql/package.json'));
export const { RDSClient: RdsClient } = requireAsPlugin('ali-rds') as { RDSClient: typeof RDSClient };
export type Client = RDSClient;

export type Config = Record<string, unknown>;

export const TABLE = 'people';

export function configOf({ host, port, user, password, database }: Omit<Mariadb, 'stop' | 'socketPath'>, more: Config = {}): Config {
  return { host, port, user, password, database, charset: 'utf8mb4', connectionLimit: 3, supportBigNumbers: true, bigNumberStrings: true, ...more };
}

/** One function process, as far as a sidecar sees it. */
export interface Process {
  readonly client: Client;
  readonly near: Remote;
  /** Methods that were called in the sidecar. */
  readonly calls: string[];
  close(): void;
}

export class World {
  /** In the sidecar. */
  readonly held: Client;
  readonly direct: Client;
  readonly clock = new FakeClock();
  readonly #config: Config;
  readonly #processes: Process[] = [];
  readonly #remotes: Remote[] = [];

  constructor(config: Config) {
    this.#config = config;
    this.held = new RdsClient({ ...config });
    this.direct = new RdsClient({ ...config });
  }

  async process(more: Config = {}): Promise<Process> {
    const pair = await sessionPair();
    const target = serveRds(this.held, this.clock);
    const near = new Remote(pair.left, { clock: pair.clock });
    const far = new Remote(pair.right, { clock: pair.clock, offers: (name) => (name === 'mysql' ? target : undefined) });
    pair.left.handlers = near.handlers;
    pair.right.handlers = far.handlers;
    this.#remotes.push(far);
    const calls: string[] = [];
    const line = {
      call: (method: string, args: readonly unknown[]) => (calls.push(method), near.call('mysql', method, args)),
      callOn: (object: RemoteObject, method: string, args: readonly unknown[]) => (calls.push(method), object.call(method, args)),
    };
    const client = rdsStandIn({ line, config: { ...this.#config, ...more }, require: requireAsPlugin }) as Client;
    const made = { client, near, calls, close: pair.close };
    this.#processes.push(made);
    return made;
  }

  /** Nobody has anything: all connections that the sidecar's pool has are free. */
  async quiet(): Promise<void> {
    await eventually('nothing is held', () => this.#remotes.every((remote) => remote.held.size === 0) && this.held.stats.busyConnections === 0 && this.held.stats.acquiringConnections === 0, { seen: () => this.held.stats });
  }

  async close(): Promise<void> {
    for (const each of this.#processes) each.close();
    await this.quiet();
    await Promise.all([this.held.end(), this.direct.end()]);
  }
}

export async function makeTable(client: Client): Promise<void> {
  await client.query(`DROP TABLE IF EXISTS ${TABLE}`);
  await client.query(`CREATE TABLE ${TABLE} (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100), email VARCHAR(100) UNIQUE, born DATETIME(3), at TIMESTAMP NULL,
    data BLOB, doc JSON, big BIGINT, exact DECIMAL(30,10), part DOUBLE, flag TINYINT(1)
  ) DEFAULT CHARSET utf8mb4`);
}

/** The driver's classes do not travel. */
export function withoutClasses(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutClasses);
  if (typeof value !== 'object' || value === null || !['RowDataPacket', 'OkPacket', 'Object'].includes(value.constructor.name)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutClasses(item)]));
}
