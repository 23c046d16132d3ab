/**
 * An application that opens a pool of MySQL connections, below an ORM, and a client of Redis while it boots, on a whole
 * host that forks: its instances have connections, ids and log lines of their own. A real MariaDB and a real Redis.
 */
import assert from 'node:assert/strict';
import Redis from 'ioredis';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { startCluster, type Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { startMariadb, type Mariadb } from '../support/servers/mariadb';
import { startRedis, type Redis as RedisServer } from '../support/servers/redis';

/** The first run on a machine may have to install the servers. */
const INSTALL_TIMEOUT_MS = 10 * 60_000;
/** As `config/function.js` of the application allows. */
const INSTANCES = 20;
const INSERTS = 50;

interface Told {
  readonly pid: number;
  readonly isForked: boolean;
  readonly clientId: number;
  readonly failures: readonly string[];
}

interface Row extends RowDataPacket {
  readonly uuid: string;
  readonly pid: number;
  readonly connection: number;
}

describe('an application with clients of databases, on a host that forks', () => {
  let database: Mariadb;
  let redisServer: RedisServer;
  let connection: mysql.Connection;
  let redis: Redis;
  let cluster: Cluster;

  before(async function () {
    this.timeout(INSTALL_TIMEOUT_MS);
    [database, redisServer] = await Promise.all([startMariadb(), startRedis()]);
    const { host, port, user, password, database: name } = database;
    connection = await mysql.createConnection({ host, port, user, password, database: name });
    await connection.query('CREATE TABLE inserted (uuid CHAR(36) PRIMARY KEY, pid INT NOT NULL, connection INT NOT NULL)');
    redis = new Redis({ host: redisServer.host, port: redisServer.port });
    cluster = await startCluster({
      application: 'database-app',
      workers: 1,
      carton: { launcher: 'fork', maxInstances: INSTANCES },
      config: { databases: { mysql: { host, port, user, password, database: name }, redis: { host: redisServer.host, port: redisServer.port } } },
    });
  });
  after(async () => {
    await cluster?.stop();
    await connection?.end();
    redis?.disconnect();
    await Promise.all([database?.stop(), redisServer?.stop()]);
  });

  it(`${INSTANCES} instances insert ${INSTANCES * INSERTS} rows at once: none fails, no connection is shared, no id comes twice, each line is logged once`, async () => {
    const answers = await Promise.all(Array.from({ length: INSTANCES }, () => cluster.invoke('insert', [INSTANCES, INSERTS], { fresh: true })));
    for (const { status, text } of answers) assert.equal(status, 200, text);
    const told = answers.map((answer) => answer.json<Told>());
    assert.deepEqual(told.flatMap(({ failures }) => failures), []);
    assert.deepEqual(told.filter(({ isForked }) => !isForked), []);
    assert.equal(new Set(told.map(({ pid }) => pid)).size, INSTANCES);
    assert.equal(new Set(told.map(({ clientId }) => clientId)).size, INSTANCES);

    const [rows] = await connection.query<Row[]>('SELECT * FROM inserted');
    assert.equal(rows.length, INSTANCES * INSERTS);
    assert.equal(await redis.get('inserted'), String(rows.length));
    const owners = new Map<number, number>();
    for (const { connection: id, pid } of rows) {
      assert.equal(owners.get(id) ?? pid, pid, `connection ${id} is shared by instances`);
      owners.set(id, pid);
    }
    assert.equal(new Set(owners.values()).size, INSTANCES);

    const logged = (): string[] => cluster.logs.split('\n').map((line) => / inserted (\S+)$/.exec(line)?.[1]).filter((uuid) => uuid !== undefined);
    await eventually('all lines', () => logged().length >= rows.length, { seen: () => logged().length });
    assert.deepEqual(logged().sort(), rows.map(({ uuid }) => uuid).sort());
  });
});
