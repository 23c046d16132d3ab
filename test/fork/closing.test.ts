/**
 * Clients of databases that a template opens while it boots: closed where nobody uses them, and opened again in each
 * fork, against a real MariaDB and a real Redis. Real template processes; runs in the mocha process.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import Redis from 'ioredis';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import type { Reason } from '../../lib/fork/reason';
import { Template } from '../../lib/fork/template';
import { eventually } from '../support/eventually';
import { startMariadb, type Mariadb } from '../support/servers/mariadb';
import { ensurePrograms } from '../support/servers/install';
import { HOST, startServer, type RunningServer } from '../support/servers/server';
import { startRedis, type Redis as RedisServer } from '../support/servers/redis';
import type { ClientsArgument, Told } from './programs/closing_clients';

const ENTRY = join(__dirname, '../../lib/entry/template_process.js');
const PROGRAM = join(__dirname, 'programs/closing_clients.js');
/** The first run on a machine may have to install the servers. */
const INSTALL_TIMEOUT_MS = 10 * 60_000;
const FORKS = 20;
const INSERTS = 1000;

describe('test/fork/closing.test.ts', () => {
  let database: Mariadb;
  let redisServer: RedisServer;
  let connection: mysql.Connection;
  let redis: Redis;

  before(async function() {
    this.timeout(INSTALL_TIMEOUT_MS);
    [database, redisServer] = await Promise.all([startMariadb(), startRedis()]);
    connection = await mysql.createConnection(account());
    await connection.query('CREATE TABLE inserted (uuid CHAR(36) PRIMARY KEY, random VARCHAR(40) UNIQUE, fork VARCHAR(40) NOT NULL)');
    redis = new Redis({ host: redisServer.host, port: redisServer.port, db: 3 });
  });
  after(async () => {
    await connection?.end();
    redis?.disconnect();
    await Promise.all([database?.stop(), redisServer?.stop()]);
  });

  const account = () => ({ host: database.host, port: database.port, user: database.user, password: database.password, database: database.database });
  const start = (busy?: ClientsArgument['busy']): Promise<Template> =>
    Template.start({ entry: ENTRY, program: PROGRAM, argument: { mysql: account(), redis: { host: redisServer.host, port: redisServer.port }, busy } satisfies ClientsArgument });

  async function answerOf(template: Template, argument: unknown): Promise<string> {
    const fork = await template.fork(argument);
    let text = '';
    fork.channel.on('data', (chunk) => (text += String(chunk)));
    assert.deepEqual(await fork.exited, { code: 0, signal: null }, text);
    return text;
  }

  const told = async (template: Template, name: string): Promise<Told> => JSON.parse(await answerOf(template, name)) as Told;

  async function refused(busy: NonNullable<ClientsArgument['busy']>): Promise<readonly Reason[]> {
    const error = await start(busy).then((template) => {
      template.close();
      assert.fail(`${busy} was not refused`);
    }, (thrown: Error & { code?: string; reasons?: readonly Reason[] }) => thrown);
    assert.equal(error.code, 'CARTON_FORK_REFUSED', error.message);
    return error.reasons ?? [];
  }

  const clientsOfRedis = async (): Promise<number> => String(await redis.client('LIST')).trim().split('\n').length;
  const clientsOfDatabase = async (): Promise<number> => (await connection.query<RowDataPacket[]>('SHOW PROCESSLIST'))[0].length;

  for (const depth of ['a template', 'a template of a template'] as const) {
    it(`forks ${depth} with a pool and clients of Redis: no query fails, no connection is shared, no id comes twice`, async () => {
      await connection.query('TRUNCATE inserted');
      await redis.del('inserted');
      const root = await start();
      const template = depth === 'a template' ? root : await root.derive({ program: join(__dirname, 'programs/closing_inheriting.js'), argument: null });
      try {
        // Connections of the template are gone before the first fork; those that are left are this test's.
        await eventually('only the test is connected', async () => await clientsOfRedis() === 1 && await clientsOfDatabase() === 1);
        const all = await Promise.all(Array.from({ length: FORKS }, (_, index) => told(template, `fork ${index}`)));
        assert.deepEqual(all.flatMap(({ failures }) => failures), []);
        const connectionIds = all.flatMap((fork) => fork.connectionIds);
        assert.equal(new Set(connectionIds).size, connectionIds.length);
        assert.equal(new Set(all.map(({ clientId }) => clientId)).size, FORKS);
        assert.equal(new Set(all.flatMap(({ ids }) => ids)).size, INSERTS);
        const [[row]] = await connection.query<RowDataPacket[]>('SELECT COUNT(*) AS count FROM inserted');
        assert.equal(row?.['count'], INSERTS);
        assert.equal(await redis.get('inserted'), String(INSERTS));
        for (const { database: place, heard } of all) {
          assert.equal(place, 'third database');
          assert.match(heard, /^fork \d+$/);
        }
      } finally {
        template.close();
        root.close();
        await Promise.all([template.ended, root.ended]);
      }
    });
  }

  it('forks a template with a client of a Redis cluster', async () => {
    const server = await startCluster();
    try {
      const template = await Template.start({ entry: ENTRY, program: join(__dirname, 'programs/closing_cluster.js'), argument: { port: server.port } });
      const all = await Promise.all(Array.from({ length: 5 }, async (_, index) => JSON.parse(await answerOf(template, index)) as { kept: string; count: number; id: number; heard: string }));
      template.close();
      await template.ended;
      assert.deepEqual(all.map(({ kept }) => kept), Array(5).fill('by the template'));
      assert.deepEqual(all.map(({ count }) => count).sort(), [1, 2, 3, 4, 5]);
      assert.equal(new Set(all.map(({ id }) => id)).size, 5);
      for (const { heard } of all) assert.match(heard, /^\d$/);
    } finally {
      await server.stop();
    }
  });

  describe('refuses, and says whose it is and why it stayed open, for', () => {
    it('a MySQL connection outside a pool', async () => {
      const [reason, ...others] = await refused('connection');
      assert.deepEqual(others, []);
      assert.equal(reason?.kind, 'socket');
      assert.equal(reason.what, `a TCP connection to 127.0.0.1:${database.port} (of a MySQL client, outside a pool)`);
      const line = readFileSync(PROGRAM, 'utf8').split('\n').findIndex((text) => text.includes('// mark: connection')) + 1;
      assert.match(reason.owner ?? '', /^mysql2 \/.*\/node_modules\/mysql2\/lib\/base\/connection\.js:\d+ for /);
      assert.ok(reason.owner?.endsWith(` for ${PROGRAM}:${line}`), String(reason.owner));
    });

    for (const [busy, what, isRedis] of [
      ['transaction', 'of a MySQL pool, in use', false],
      ['blocked', 'of an ioredis client, with commands under way: 1', true],
      ['monitor', 'of an ioredis client that monitors', true],
    ] as const) {
      it(`a ${busy} connection`, async () => {
        const reasons = await refused(busy);
        const port = isRedis ? redisServer.port : database.port;
        assert.deepEqual(reasons.map((reason) => [reason.kind, reason.what]), [['socket', `a TCP connection to 127.0.0.1:${port} (${what})`]]);
        assert.match(reasons[0]?.owner ?? '', isRedis ? /^ioredis \// : /^mysql2 \//);
      });
    }
  });
});

/** A cluster of one server, which has all slots. */
async function startCluster(): Promise<RunningServer> {
  const { server: program } = await ensurePrograms({ apt: 'redis-server', programs: { server: ['redis-server'] } });
  const busPort = await freePort();
  const server = await startServer({
    name: 'redis-cluster',
    startTimeoutMs: 30_000,
    command: ({ directory, port }) => [
      program, '--bind', HOST, '--port', String(port), '--unixsocket', join(directory, 'redis.sock'), '--dir', directory, '--save', '', '--appendonly', 'no', '--daemonize', 'no',
      '--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-announce-ip', HOST,
    ],
    probe: ({ directory }) => ({ at: { path: join(directory, 'redis.sock') }, say: 'PING\r\n', expect: /^\+PONG\r\n/ }),
  });
  const redis = new Redis({ host: HOST, port: server.port });
  await redis.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16383);
  await eventually('the cluster is up', async () => String(await redis.call('CLUSTER', 'INFO')).includes('cluster_state:ok'));
  redis.disconnect();
  return server;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, HOST, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
