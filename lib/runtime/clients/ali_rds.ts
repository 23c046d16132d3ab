/**
 * What stands in a function process for a client of ali-rds (egg-mysql 4): a client of that very class, whose driver's
 * pool is in the sidecar (plugin-sidecar/lib/clients/ali_rds.ts). Building SQL, escaping, literals, hooks, logging and
 * scopes of transactions are ali-rds's own code, in this process; finished SQL leaves it. ali-rds 4, 5 and 6.
 *
 * - Local and synchronous: all but queries, transactions and `getConnection`.
 * - One call to the sidecar each: a query of the client; `getConnection`; `beginTransaction`, together with getting its
 *   connection; a query of those, a commit, a rollback. `release` waits for nothing.
 * - Other than with the driver: rows are plain objects; callbacks get no list of fields, and a function as `typeCast`
 *   belongs into the configuration. A query of the client has no thread id, so hooks and logs see none, and they hear of
 *   it even where there is no connection for it. `end` leaves the pool to the other processes.
 */
import { createRequire } from 'node:module';
import type { ClientLine, MakeStandIn } from './client_line';
import type { Driver } from './rds_driver';
import { RemotePool, type PoolConfig } from './rds_pool';

/** Of what ali-rds has in all its versions, or in some. */
interface RdsClient {
  beginTransaction(): Promise<unknown>;
  readonly beforeQueryHandlers?: unknown[];
  readonly afterQueryHandlers?: unknown[];
  logging?: unknown;
}

interface RdsClass {
  new (options: object): RdsClient;
  readonly prototype: RdsClient;
}

interface Operator {
  query(sql: unknown, values?: unknown): Promise<unknown>;
}

type OperatorClass = new (connection: object) => Operator;

export const rdsStandIn: MakeStandIn = ({ line, config, require: requireAsPlugin }) => {
  const loaded = requireAsPlugin('ali-rds') as RdsClass & { RDSClient?: RdsClass; default?: RdsClass };
  const RDSClient = loaded.RDSClient ?? loaded.default ?? loaded;
  // Its own one: the plugin may have another, or none.
  const requireAsRds = createRequire(requireAsPlugin.resolve('ali-rds'));
  // The sidecar asks for these; with them ali-rds would make a pool of the driver's own.
  const { getConnectionConfig: _asked, ...options } = config;
  const { client, pool } = withPoolOf(requireAsRds, line, (): RdsClient => new RDSClient(options));
  queryInOneCall(client, pool);
  beginInOneCall(client, pool);
  // The sidecar's pool is what one waits for, and it bounds that; a clock here would count the sidecar's start as well.
  if ('waitPoolConnection' in client) define(client, 'waitPoolConnection', () => new Promise(() => undefined));
  return client;
};

/** ali-rds makes its pool by `mysql.createPool` in its constructor, and at no other time. */
function withPoolOf(requireAsRds: NodeJS.Require, line: ClientLine, make: () => RdsClient): { client: RdsClient; pool: RemotePool } {
  const driver = requireAsRds('mysql') as Driver;
  const Config = requireAsRds('mysql/lib/PoolConfig') as new (options: object) => PoolConfig;
  const { createPool } = driver;
  let pool: RemotePool | undefined;
  driver.createPool = (options) => (pool = new RemotePool(line, driver, new Config(options)));
  try {
    const client = make();
    const made = pool as unknown as RemotePool;
    // From version 6 on ali-rds itself listens, to tell of them.
    made.idleListeners = made.listenerCount('connection');
    return { client, pool: made };
  } finally {
    driver.createPool = createPool;
  }
}

/** From version 6 on a client gets a connection for each of its queries; earlier ones hand them to the pool. */
function queryInOneCall(client: RdsClient, pool: RemotePool): void {
  const prototype = Object.getPrototypeOf(client) as object;
  const Operator = Object.getPrototypeOf(prototype.constructor) as OperatorClass;
  if (!Object.hasOwn(prototype, 'query') || typeof (Operator.prototype as Partial<Operator>).query !== 'function') return;
  const operator = new Operator({ config: pool.config.connectionConfig });
  for (const key of ['beforeQueryHandlers', 'afterQueryHandlers', 'logging'] as const) Object.defineProperty(operator, key, { get: () => client[key] });
  // By then a promise, as all of the pool's methods: ali-rds has seen to it.
  define(operator, '_query', (sql: unknown, values: unknown) => pool.query(sql, values));
  define(client, 'query', (sql: unknown, values?: unknown) => operator.query(sql, values));
}

/** Between the two calls that follow each other nothing else can run: the first is made before anything is waited for. */
function beginInOneCall(client: RdsClient, pool: RemotePool): void {
  const begin = client.beginTransaction;
  define(client, 'beginTransaction', () => {
    pool.isToBegin = true;
    try {
      return begin.call(client);
    } finally {
      pool.isToBegin = false;
    }
  });
}

/** As a method of its class: can be mocked, and is not listed. */
function define(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, writable: true, configurable: true });
}
