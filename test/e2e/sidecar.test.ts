/**
 * An application with egg-mysql and egg-redis on a whole host: its functions use both through a sidecar, as if the
 * clients were their own. A real MariaDB and a real Redis.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { newHome, startCluster, type Cluster, type ClusterOptions } from '../support/cluster';
import { eventually } from '../support/eventually';
import { startMariadb, type Mariadb } from '../support/servers/mariadb';
import { startRedis, type Redis } from '../support/servers/redis';

/** The first run on a machine may have to install the servers. */
const INSTALL_TIMEOUT_MS = 10 * 60_000;

interface Process {
  readonly pid: number;
  readonly loaded: readonly string[];
  readonly sockets: number;
}

describe('an application whose clients a sidecar holds', () => {
  let database: Mariadb;
  let redis: Redis;
  let connection: mysql.Connection;
  let cluster: Cluster | undefined;
  const snapshots = newHome();
  before(async function () {
    this.timeout(INSTALL_TIMEOUT_MS);
    [database, redis] = await Promise.all([startMariadb(), startRedis()]);
    const { host, port, user, password, database: name } = database;
    connection = await mysql.createConnection({ host, port, user, password, database: name });
    await connection.query('CREATE TABLE tea (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50), at DATETIME, leaf BLOB)');
    await connection.query('CREATE TABLE model_tea (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50))');
    await connection.query('CREATE TABLE account (id INT PRIMARY KEY, balance INT NOT NULL)');
    await connection.query('CREATE TABLE transfer (id INT PRIMARY KEY AUTO_INCREMENT, from_id INT, to_id INT, amount INT, at DATETIME)');
    await connection.query('INSERT INTO account VALUES (1, 100), (2, 100)');
  });
  afterEach(async () => {
    await cluster?.stop();
    cluster = undefined;
  });
  after(async () => {
    await connection?.end();
    await Promise.all([database?.stop(), redis?.stop()]);
    rmSync(snapshots, { recursive: true, force: true });
  });

  /** `mysql`: how the clients of MySQL are configured; the only one by default. */
  async function start(options: Partial<ClusterOptions> = {}, settings?: (client: object) => object): Promise<Cluster> {
    const { host, port, user, password, database: name } = database;
    const client = { host, port, user, password, database: name };
    return (cluster = await startCluster({
      application: 'sidecar-app', workers: 1, ...options,
      config: { mysql: settings?.(client) ?? { client }, redis: { client: { host: redis.host, port: redis.port, password: '', db: 0 } }, ...options.config },
    }));
  }

  const ask = async <T>(name: string, args: readonly unknown[] = []): Promise<T> => {
    const answer = await (cluster as Cluster).invoke(name, args);
    assert.equal(answer.status, 200, answer.text);
    return answer.json<T>();
  };
  const sidecars = (): number[] => (cluster as Cluster).processes().filter(({ kind }) => kind === 'sidecar').map(({ pid }) => pid);
  const connections = async (): Promise<number> => {
    const [rows] = await connection.query<RowDataPacket[]>('SELECT COUNT(*) AS n FROM information_schema.processlist WHERE user = ? AND id <> CONNECTION_ID()', [database.user]);
    return Number(rows[0]?.['n']);
  };

  for (const launcher of ['fork', 'spawn'] as const) {
    it(`uses both clients, with no connection of its own (${launcher})`, async () => {
      await start({ carton: { launcher } });
      assert.deepEqual(await ask('mysql', ['query', ['SELECT 1 + ? AS sum', [2]]]), [{ sum: 3 }]);
      assert.equal(await ask('redis', ['set', ['tea', 'green']]), 'OK');
      assert.equal(await ask('redis', ['get', ['tea']]), 'green');
      assert.equal(sidecars().length, 1);
      assert.match((cluster as Cluster).logs, /mysql +mysql +sidecar main +known: ali-rds\n +redis +redis +sidecar main +known: ioredis/);
      assert.deepEqual((await ask<Process>('process')).loaded, []);
      if (launcher === 'fork') assert.doesNotMatch((cluster as Cluster).logs, /spawned, not forked|cannot be forked/);
    });
  }

  it('has clients by name', async () => {
    await start({}, (client) => ({ clients: { one: client, two: client } }));
    assert.deepEqual(await ask('mysql', ['query', ['SELECT 2 AS n'], 'two']), [{ n: 2 }]);
  });

  for (const byHand of [true, false]) {
    it(`runs transactions ${byHand ? 'by hand' : 'in scopes'}, which an instance that dies in the middle leaves undone, at once`, async () => {
      await start();
      const balances = async (): Promise<unknown> => (await connection.query<RowDataPacket[]>('SELECT balance FROM account ORDER BY id FOR UPDATE'))[0].map(({ balance }) => balance as number);
      await connection.query('UPDATE account SET balance = 100');
      await ask('transfer', [1, 2, 10, { byHand }]);
      assert.deepEqual(await balances(), [90, 110]);
      const dying = (cluster as Cluster).invoke('transfer', [1, 2, 50, { byHand, waitMs: 60_000 }]);
      await eventually('the transaction', () => connection.query('SELECT balance FROM account WHERE id = 1 FOR UPDATE NOWAIT').then(() => false, () => true));
      await (cluster as Cluster).kill((cluster as Cluster).instances('transfer')[0]?.pid as number);
      assert.equal((await dying).status, 502);
      // It would wait for the locks of a transaction that is still open, for longer than this test may take.
      assert.deepEqual(await balances(), [90, 110]);
    });
  }

  for (const launcher of ['fork', 'spawn'] as const) {
    it(`has an ORM whose connections end in the sidecar (${launcher})`, async () => {
      const { host, port, user: username, password, database: name } = database;
      await start({
        carton: { launcher }, environment: { SIDECAR_APP_ORM: 'true' },
        config: { sequelize: { dialect: 'mysql', host, port, username, password, database: name, logging: false, timezone: '+00:00' } },
      });
      assert.match((cluster as Cluster).logs, /sequelize +sequelize +sidecar main +known: mysql-wire/);
      const tea = `${launcher} tea`;
      const kept = await ask<{ count: number; socketPath: string }>('model', [tea]);
      assert.equal(kept.count, 1);
      assert.match(kept.socketPath, /s-[0-9a-f]{8}-[0-9a-f]{3}\.sock$/);
      assert.equal((await ask<{ count: number }>('model', [tea, { fail: true }])).count, 1);
      if (launcher === 'fork') assert.doesNotMatch((cluster as Cluster).logs, /instances are spawned/);
    });
  }

  it('has an ORM that its own code makes, whose connections end in the sidecar', async () => {
    const { host, port, user, password, database: name } = database;
    await start({
      carton: { launcher: 'fork', sidecar: { enable: true, clients: { knex: { kind: 'mysql-wire' } }, callTimeoutMs: 60_000 } },
      config: { knex: { client: 'mysql2', connection: { host, port, user, password, database: name }, pool: { min: 0, max: 4 } } },
    });
    for (const fail of [false, true]) {
      const { count, socketPath } = await ask<{ count: number; socketPath: string }>('model', ['knex tea', { orm: 'knex', fail }]);
      assert.equal(count, 1);
      assert.match(socketPath, /s-[0-9a-f]{8}-[0-9a-f]{3}\.sock$/);
    }
  });

  it('may use its clients while it boots, also in a template', async () => {
    await start({ carton: { launcher: 'fork' }, config: { queryAtBoot: true } });
    assert.deepEqual(await ask('booted'), [{ one: 1 }]);
    assert.deepEqual(await ask('mysql', ['query', ['SELECT 1 AS one']]), [{ one: 1 }]);
  });

  it('is recorded for a snapshot with its clients', async () => {
    await start({ carton: { launcher: 'spawn', snapshot: { build: true, warmUps: [{ function: 'mysql', args: ['query', ['SELECT 1']] }] } }, config: { queryAtBoot: true }, environment: { EGG_CARTON_SNAPSHOT_DIR: snapshots } });
    await eventually('a snapshot', () => /built a snapshot for the role "function"/.test((cluster as Cluster).logs), { deadlineMs: 60_000 });
    assert.doesNotMatch((cluster as Cluster).logs, /goes on without a snapshot|warm-up/);
    assert.deepEqual(await ask('booted'), [{ one: 1 }]);
  });

  it('works in development', async () => {
    await start({ env: 'local' });
    assert.deepEqual(await ask('mysql', ['query', ['SELECT 1 AS one']]), [{ one: 1 }]);
    assert.equal(sidecars().length, 1);
  });

  it('has a client that it makes while it runs, with connections of the sidecar\'s, which end with the instance', async () => {
    await start();
    const { host, port, user, password } = database;
    const config = { host, port, user, password, database: 'information_schema' };
    assert.deepEqual(await ask('another', [config, 'SELECT DATABASE() AS name']), [{ name: 'information_schema' }]);
    const [instance] = (cluster as Cluster).instances('another');
    const before = await connections();
    await (cluster as Cluster).kill(instance?.pid as number);
    await eventually('the end of its connections', async () => (await connections()) < before);
  });

  it('gives a function the clients that its spec names, and no others', async () => {
    await start();
    assert.deepEqual(await ask('redis_only'), ['PONG', 'CARTON_RPC_NO_TARGET']);
  });

  it('boots `sidecar` beside `app`, and nothing else of the application, in the sidecar', async () => {
    await start({ config: { sealedPassword: Buffer.from(database.password).toString('base64'), queryAtBoot: true } }, (client) => ({ client: { ...client, password: 'sealed' } }));
    assert.deepEqual(await ask('mysql', ['query', ['SELECT 1 AS one']]), [{ one: 1 }]);
  });

  it('tells functions, by a code, that there is no sidecar, and the log why', async () => {
    await start({ carton: { sidecar: { enable: true, clients: { redis: 'local' }, callTimeoutMs: 300 } }, config: { passwordInSidecar: 'wrong' } });
    assert.equal(await ask('redis', ['ping']), 'PONG');
    const { status, text } = await (cluster as Cluster).invoke('mysql', ['query', ['SELECT 1']]);
    assert.deepEqual([status, /CARTON_SIDECAR_UNAVAILABLE/.test((cluster as Cluster).logs + text)], [503, true], text);
    await eventually('the reason', () => /sidecar main has ended after \d+ ms \(the sidecar's plugins do not boot.*ER_ACCESS_DENIED_ERROR/.test((cluster as Cluster).logs));
  });

  it('keeps connections of its own where that is configured', async () => {
    await start({ carton: { launcher: 'spawn', sidecar: { enable: false, clients: {}, callTimeoutMs: 1000 } } });
    assert.deepEqual(await ask('mysql', ['query', ['SELECT 1 AS one']]), [{ one: 1 }]);
    assert.equal(sidecars().length, 0);
    assert.match((cluster as Cluster).logs, /mysql +mysql +local +carton\.sidecar\.enable is false/);
    assert.deepEqual((await ask<Process>('process')).loaded.length, 3);
  });

  it('a sidecar that is killed is there again, and so are the functions', async () => {
    await start();
    await ask('mysql', ['query', ['SELECT 1']]);
    const { pid } = await ask<Process>('process');
    const [before] = sidecars();
    await (cluster as Cluster).kill(before as number);
    // One that goes out before the end of the connection is seen is lost, and says so.
    await eventually('an answer', async () => {
      const { status, text } = await (cluster as Cluster).invoke('mysql', ['query', ['SELECT 1 AS one']]);
      if (status !== 200) assert.match(text, /CARTON_SIDECAR_LOST/);
      return status === 200;
    });
    const [after] = sidecars();
    assert.notEqual(after, before);
    assert.equal((await ask<Process>('process')).pid, pid);
    await eventually('the connections of the dead one to be gone', async () => (await connections()) <= 5);
  });

  it('outlives the agent, whose next one adopts it', async () => {
    await start();
    await ask('mysql', ['query', ['SELECT 1']]);
    const before = sidecars();
    await (cluster as Cluster).kill((cluster as Cluster).agent as number);
    assert.deepEqual(await ask('mysql', ['query', ['SELECT 1 AS one']]), [{ one: 1 }]);
    await eventually('an agent that has adopted it', () => /adopted sidecar main/.test((cluster as Cluster).logs));
    assert.deepEqual(sidecars(), before);
  });
});
