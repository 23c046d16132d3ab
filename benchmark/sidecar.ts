/**
 * What does it cost a function that its clients are in a sidecar, and what does it save?
 *
 * Docs: an application with egg-mysql, egg-redis and egg-sequelize, a real MariaDB and a real Redis, on two hosts at a
 * time: on one a sidecar holds the clients (`proxy`, `wire` for the ORM), on the other each function process does
 * (`direct`). All is measured inside functions.
 * - `mysql_*`, `redis_*`: a SELECT by key through ali-rds, a GET through ioredis; `mysql_wire_*` the SELECT through
 *   Sequelize. `_p50_us`, `_p99_us`: one at a time. `_added_us`: the median of the rounds' differences of p50.
 *   `_throughput_ratio`: four instances, 50 at a time each, calls per second with a sidecar to those without one.
 * - `socket_round_trip_us`: a message of 64 bytes to another process and back, in the same minutes.
 * - `function_memory_*_mb`: private memory of a spawned function process that has used both clients. `boot_*_ms`: from the
 *   request to the answer of such a process, which is started for it. `handshakes_*`: connections that the databases
 *   accepted for it.
 * - `db_connections`: connections that MariaDB has, for 1, 10 and 100 instances that have used it.
 */
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import Redis from 'ioredis';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { askFor200 } from '../scripts/support/request';
import { startMariadb, type Mariadb } from '../test/support/servers/mariadb';
import { startRedis, type Redis as RedisServer } from '../test/support/servers/redis';
import { EggHost } from './support/egg_host';
import { memoryOf } from './support/memory';
import type { Aims, BenchmarkOptions } from './support/options';
import { progress } from './support/progress';
import { roundTripMicros } from './support/round_trip';
import { median, round } from './support/statistics';

const ROUNDS = 5;
const CALLS = 3_000;
const CALLS_AT_ONCE = 8_000;
const AT_ONCE = 50;
const INSTANCES = 4;
/** Processes whose boot, memory and handshakes are looked at. */
const STARTS = 4;
const ROUND_TRIPS = 4_000;
const HELD_MS = 1_500;
const MB = 1024 * 1024;

export const AIMS: Aims = {
  mysql_added_us: '≤ 60', redis_added_us: '≤ 60', mysql_wire_added_us: '≤ 100', mysql_throughput_ratio: '≥ 0.7', redis_throughput_ratio: '≥ 0.7',
  memory_saved_mb: '≥ 15', handshakes_proxy: '0',
};

const CLIENTS = ['mysql', 'redis', 'orm'] as const;
type Client = (typeof CLIENTS)[number];
const SIDES = ['proxy', 'direct'] as const;
type Side = (typeof SIDES)[number];

interface Figures {
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
}

interface Databases {
  readonly mariadb: Mariadb;
  readonly redis: RedisServer;
  readonly connection: Connection;
  readonly client: Redis;
  /** Whether the application has its ORM. @default false */
  readonly hasOrm?: boolean;
}

export async function run({ samples: rounds = ROUNDS }: BenchmarkOptions): Promise<Record<string, unknown>> {
  const databases = await startDatabases();
  try {
    const calls = await withHosts({ ...databases, hasOrm: true }, {}, (hosts) => measureCalls(hosts, rounds));
    const starts = await withHosts(databases, { launcher: 'spawn', functionDefaults: { idleTimeoutMs: 200 } }, (hosts) => measureStarts(hosts, databases));
    return { ...calls, ...starts, ...(await measureConnections(databases)), samples: rounds };
  } finally {
    await stopDatabases(databases);
  }
}

async function startDatabases(): Promise<Databases> {
  const [mariadb, redis] = await Promise.all([startMariadb(), startRedis()]);
  const { host, port, user, password, database } = mariadb;
  const connection = await mysql.createConnection({ host, port, user, password, database });
  await connection.query('CREATE TABLE measured (id INT PRIMARY KEY, name VARCHAR(50))');
  await connection.query("INSERT INTO measured VALUES (1, 'a name of some length')");
  const client = new Redis({ port: redis.port, host: redis.host });
  await client.set('measured', 'x'.repeat(100));
  return { mariadb, redis, connection, client };
}

async function stopDatabases({ mariadb, redis, connection, client }: Databases): Promise<void> {
  await connection.end();
  client.disconnect();
  await Promise.all([mariadb.stop(), redis.stop()]);
}

async function startHost({ mariadb, redis, hasOrm = false }: Databases, side: Side, carton: object): Promise<{ host: EggHost; stop(): Promise<void> }> {
  const home = mkdtempSync(join(tmpdir(), 'ec-'));
  const { host: address, port, user, password, database } = mariadb;
  const client = { host: address, port, user, password, database };
  const config = {
    rundir: join(home, 'run'),
    mysql: { client },
    redis: { client: { host: redis.host, port: redis.port, password: '', db: 0 } },
    sequelize: { dialect: 'mysql', host: address, port, username: user, password, database, logging: false },
    logger: { consoleLevel: 'NONE' },
    carton: { directory: join(home, 's'), snapshot: { build: false }, maxInstances: 200, ...carton, sidecar: { enable: side === 'proxy', clients: {}, callTimeoutMs: 60_000 } },
  };
  const env = { ...(process.env as Record<string, string>), NODE_ENV: 'production', EGG_SERVER_ENV: 'prod', EGG_HOME: home, SIDECAR_APP_ORM: String(hasOrm), EGG_APP_CONFIG: JSON.stringify(config) };
  const host = await EggHost.start({ baseDir: join(__dirname, '../fixtures/sidecar-app'), env });
  return {
    host,
    async stop() {
      await host.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

type Hosts = Readonly<Record<Side, EggHost>>;

async function withHosts<T>(databases: Databases, carton: object, use: (hosts: Hosts) => Promise<T>): Promise<T> {
  const proxy = await startHost(databases, 'proxy', carton);
  try {
    const direct = await startHost(databases, 'direct', carton);
    try {
      return await use({ proxy: proxy.host, direct: direct.host });
    } finally {
      await direct.stop();
    }
  } finally {
    await proxy.stop();
  }
}

async function call<T>({ port }: EggHost, name: string, args: readonly unknown[]): Promise<T> {
  const { body } = await askFor200({ port, path: `/oneapi/${name}`, json: args });
  return JSON.parse(body) as T;
}

async function measureCalls(hosts: Hosts, rounds: number): Promise<Record<string, number>> {
  const taken = { proxy: new Map<Client, Figures[]>(), direct: new Map<Client, Figures[]>() };
  const ratios = new Map<Client, number[]>();
  const roundTrips: number[] = [];
  for (const side of SIDES) for (const client of CLIENTS) await call(hosts[side], 'measure', [client, { count: CALLS, atOnce: 1 }]);
  for (let i = 1; i <= rounds; i += 1) {
    roundTrips.push(await roundTripMicros(ROUND_TRIPS));
    for (const client of CLIENTS) {
      for (const side of SIDES) push(taken[side], client, await call<Figures>(hosts[side], 'measure', [client, { count: CALLS, atOnce: 1 }]));
      if (client !== 'orm') push(ratios, client, (await throughput(hosts.proxy, client)) / (await throughput(hosts.direct, client)));
    }
    progress(`round ${i} of ${rounds}`);
  }
  return { ...figuresOf(taken), mysql_throughput_ratio: middle(ratios.get('mysql'), 2), redis_throughput_ratio: middle(ratios.get('redis'), 2), socket_round_trip_us: round(median(roundTrips), 1) };
}

/** Calls a second of all instances together. */
async function throughput(host: EggHost, client: Client): Promise<number> {
  const all = await Promise.all(Array.from({ length: INSTANCES }, () => call<Figures>(host, 'measure', [client, { count: CALLS_AT_ONCE, atOnce: AT_ONCE }])));
  return all.reduce((sum, { perSecond }) => sum + perSecond, 0);
}

function figuresOf(taken: Readonly<Record<Side, Map<Client, Figures[]>>>): Record<string, number> {
  const result: Record<string, number> = {};
  for (const client of CLIENTS) {
    const [name, proxy, direct] = client === 'orm' ? ['mysql', 'wire', 'wire_direct'] : [client, 'proxy', 'direct'];
    const [ours, theirs] = [taken.proxy.get(client) ?? [], taken.direct.get(client) ?? []];
    for (const [side, figures] of [[proxy, ours], [direct, theirs]] as const) {
      result[`${name}_${side}_p50_us`] = middle(figures.map(({ p50 }) => p50), 0);
      result[`${name}_${side}_p99_us`] = middle(figures.map(({ p99 }) => p99), 0);
    }
    result[`${name}${client === 'orm' ? '_wire' : ''}_added_us`] = middle(ours.map(({ p50 }, i) => p50 - (theirs[i]?.p50 ?? NaN)), 0);
  }
  return result;
}

/** Of processes that are started for a request, use both clients, and go. */
async function measureStarts(hosts: Hosts, databases: Databases): Promise<Record<string, number>> {
  const result: Record<string, number> = {};
  const memory: Record<Side, number> = { proxy: 0, direct: 0 };
  for (const side of SIDES) {
    const host = hosts[side];
    const taken = { boot: [] as number[], memory: [] as number[], handshakes: [] as number[] };
    for (let i = 0; i <= STARTS; i += 1) {
      await host.empty();
      const before = await accepted(databases);
      const at = performance.now();
      const pid = await call<number>(host, 'alone', []);
      const ms = performance.now() - at;
      // The first one may have filled the pool of the sidecar.
      if (i === 0) continue;
      taken.boot.push(ms);
      taken.memory.push((memoryOf(pid)?.private ?? NaN) / MB);
      taken.handshakes.push((await accepted(databases)) - before);
    }
    result[`boot_${side}_ms`] = middle(taken.boot, 0);
    result[`handshakes_${side}`] = middle(taken.handshakes, 1);
    memory[side] = middle(taken.memory, 1);
    result[`function_memory_${side}_mb`] = memory[side];
    progress(`starts with clients: ${side}`);
  }
  return { ...result, memory_saved_mb: round(memory.direct - memory.proxy, 1) };
}

/** Connections that both databases have accepted so far. */
async function accepted({ connection, client }: Databases): Promise<number> {
  const [rows] = await connection.query<RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'Connections'");
  const stats = /total_connections_received:(\d+)/.exec(await client.info('stats'));
  return Number(rows[0]?.['Value']) + Number(stats?.[1]);
}

async function measureConnections(databases: Databases): Promise<Record<string, unknown>> {
  const result: Record<string, Record<string, number>> = { db_connections: {}, db_connections_direct: {} };
  for (const [side, field, counts] of [['proxy', 'db_connections', [1, 10, 100]], ['direct', 'db_connections_direct', [1, 10]]] as const) {
    const { host, stop } = await startHost(databases, side, { launcher: 'auto' });
    try {
      const before = await connected(databases);
      // What the host itself has: workers and sidecar. Only what instances add counts, and the sidecar's own.
      for (const count of counts) {
        await Promise.all(Array.from({ length: count }, () => call(host, 'alone', [HELD_MS])));
        (result[field] as Record<string, number>)[count] = (await connected(databases)) - before;
        progress(`connections with ${count} instances: ${side}`);
        await sleep(HELD_MS);
      }
    } finally {
      await stop();
    }
  }
  return result;
}

async function connected({ connection }: Databases): Promise<number> {
  const [rows] = await connection.query<RowDataPacket[]>('SELECT COUNT(*) AS n FROM information_schema.processlist WHERE id <> CONNECTION_ID()');
  return Number(rows[0]?.['n']);
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  map.set(key, [...(map.get(key) ?? []), value]);
}

function middle(values: readonly number[] | undefined, digits: number): number {
  return round(median(values ?? []), digits);
}
