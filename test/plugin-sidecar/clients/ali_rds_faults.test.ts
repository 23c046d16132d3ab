/**
 * What a function process leaves behind of a client of ali-rds, and what it never gets
 * (plugin-sidecar/lib/clients/ali_rds.ts), with a real database, which a proxy can take away.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { LIMITS } from '../../../lib/support/limits';
import type { Held, ServedCall } from '../../../lib/rpc/remote_objects';
import { serveRds } from '../../../plugin-sidecar/lib/clients/ali_rds';
import { eventually } from '../../support/eventually';
import { startMariadb, type Mariadb } from '../../support/servers/mariadb';
import { configOf, makeTable, TABLE, World, type Client, type Process } from './rds_world';

const CALL: ServedCall = { signal: new AbortController().signal, isCancelled: false, remainingMs: undefined, trace: undefined };

/** The way to the database. */
class Way {
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  constructor(readonly target: number) {}

  get port(): number {
    return this.#port;
  }

  async open(): Promise<void> {
    this.#server = createServer((near) => {
      const far = connect(this.target, '127.0.0.1');
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined).on('close', () => (near.destroy(), far.destroy(), this.#sockets.delete(socket)));
      }
      near.pipe(far).pipe(near);
    }).listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server?.listening === true) await once(this.#server, 'close');
  }
}

describe('a client of ali-rds, and faults', function () {
  this.timeout(120_000);
  let server: Mariadb;
  let way: Way;
  let world: World;
  let one: Process;
  let other: Process;
  before(async () => (server = await startMariadb()));
  after(() => server.stop());
  beforeEach(async () => {
    way = new Way(server.port);
    await way.open();
    world = new World(configOf({ ...server, port: way.port }, { connectionLimit: 1, poolWaitTimeout: 5_000 }));
    await makeTable(world.direct);
    [one, other] = [await world.process(), await world.process()];
  });
  afterEach(async () => {
    await world.close();
    await way.close();
  });

  const idOf = async (client: Client): Promise<number> => Number((await client.queryOne('SELECT CONNECTION_ID() AS id')).id);

  it('guarantee 1: serves its own methods alone', async () => {
    const connection = await one.client.getConnection();
    await assert.rejects(one.near.call('mysql', 'getConnection', []), { code: 'CARTON_RPC_NO_METHOD' });
    await assert.rejects(one.near.call('mysql', 'constructor', []), { code: 'CARTON_RPC_NO_METHOD' });
    await assert.rejects(one.near.call(1, 'changeUser', []), { code: 'CARTON_RPC_NO_METHOD' });
    connection.release();
  });

  it('guarantee 2: rolls a transaction back at once when its process is gone, and the connection serves the next one', async () => {
    const transaction = await one.client.beginTransaction();
    await transaction.insert(TABLE, { name: 'x' });
    const id = transaction.threadId;
    one.near.session.close();
    assert.equal(await idOf(other.client), id);
    assert.equal(Number(await other.client.count(TABLE)), 0);
    await world.quiet();
  });

  it('guarantee 2: rolls back what was begun with text, and released without an end', async () => {
    const connection = await one.client.getConnection();
    await connection.query('BEGIN');
    await connection.insert(TABLE, { name: 'x' });
    const id = connection.threadId;
    connection.release();
    assert.equal(await idOf(other.client), id);
    assert.equal(Number(await other.client.count(TABLE)), 0);
  });

  it('guarantee 2: leaves what was committed alone', async () => {
    await one.client.beginTransactionScope((transaction) => transaction.insert(TABLE, { name: 'x' }));
    one.near.session.close();
    assert.equal(Number(await other.client.count(TABLE)), 1);
  });

  it('guarantee 2: gives back a connection that its user keeps, when that is gone', async () => {
    await one.client.getConnection();
    one.near.session.close();
    assert.equal(Number(await other.client.count(TABLE)), 0);
  });

  it('guarantee 2: closes a connection where a query still runs', async () => {
    const connection = await one.client.getConnection();
    const running = connection.query('SELECT SLEEP(100)');
    await eventually('that it runs', async () => Number((await world.direct.queryOne("SELECT COUNT(*) AS n FROM information_schema.processlist WHERE info = 'SELECT SLEEP(100)'")).n) === 1);
    one.near.session.close();
    await assert.rejects(running, { code: 'CARTON_RPC_CLOSED' });
    assert.notEqual(await idOf(other.client), connection.threadId);
    await world.direct.query('KILL ?', [connection.threadId]);
  });

  it('guarantee 2: closes a connection whose rollback fails, and does not wait for it for ever', async () => {
    const asked: object[] = [];
    let ended: string | undefined;
    const conn = { threadId: 1, query: (request: object) => (asked.push(request), Promise.reject(new Error('late'))), beginTransaction: async () => ({}), destroy: () => (ended = 'destroyed') };
    const held = (await serveRds({ getConnection: async () => ({ conn, release: () => (ended = 'released') }) }).invoke('connection', [true], CALL)) as Held;
    held.onEnd();
    await eventually('its end', () => ended);
    assert.deepEqual([ended, asked], ['destroyed', [{ sql: 'ROLLBACK', timeout: LIMITS.rollbackMs }]]);
  });

  it('guarantee 2: closes a connection that its user destroys', async () => {
    const connection = await one.client.getConnection();
    connection.conn.destroy();
    assert.notEqual(await idOf(other.client), connection.threadId);
  });

  it('guarantee 2: gives a connection back whose user went while it waited for it', async () => {
    const first = await other.client.getConnection();
    const waiting = one.client.getConnection();
    await eventually('that it waits', () => world.held.stats.connectionQueue === 1);
    one.near.session.close();
    await assert.rejects(waiting, { code: 'CARTON_RPC_CLOSED' });
    first.release();
    assert.equal(Number(await other.client.count(TABLE)), 0);
    await world.quiet();
  });

  for (const [what, leave] of Object.entries({
    'a variable': (client: Client) => client.query('SET @x = 1'),
    'a temporary table': (client: Client) => client.query('CREATE TEMPORARY TABLE own (a INT)'),
    'a lock by name': (client: Client) => client.query("SELECT GET_LOCK('x', 1)"),
    'a lock of a table': (client: Client) => client.query(`LOCK TABLES ${TABLE} WRITE`),
    'another database': (client: Client) => client.query('USE information_schema'),
  })) {
    it(`guarantee 3: hands no connection on with ${what}, from a query or a connection`, async () => {
      const before = await idOf(one.client);
      await leave(one.client);
      const between = await idOf(other.client);
      assert.notEqual(between, before);
      const connection = await one.client.getConnection();
      await leave(connection as unknown as Client);
      connection.release();
      assert.notEqual(await idOf(other.client), between);
      assert.deepEqual(await other.client.query(`SELECT @x AS x, IS_FREE_LOCK('x') AS free, DATABASE() AS db FROM DUAL`), [{ x: null, free: 1, db: server.database }]);
    });
  }

  it('guarantee 3: hands the same connection on where nothing was left', async () => {
    const id = await idOf(one.client);
    await one.client.beginTransactionScope((transaction) => transaction.insert(TABLE, { name: 'x', email: 'a@b.c' }));
    await assert.rejects(one.client.insert(TABLE, { email: 'a@b.c' }), { code: 'ER_DUP_ENTRY' });
    assert.equal(await idOf(other.client), id);
  });

  it('guarantee 4: waits for a connection as the client itself does', async () => {
    const short = new World(configOf({ ...server, port: way.port }, { connectionLimit: 1, poolWaitTimeout: 10 }));
    const { client } = await short.process();
    const connection = await client.getConnection();
    for (const asked of [() => client.query('SELECT 1'), () => client.getConnection(), () => client.beginTransaction()]) await assert.rejects(asked, { name: 'PoolWaitTimeoutError' });
    connection.release();
    await client.query('SELECT 1');
    await short.close();
  });

  it('guarantee 4: lets one process have so many connections, and no more', async () => {
    const first = await one.client.getConnection();
    const others = Array.from({ length: LIMITS.databaseConnections - 1 }, () => one.client.getConnection());
    await assert.rejects(one.client.getConnection(), { code: 'CARTON_RPC_TOO_MANY_OBJECTS' });
    first.release();
    for (const each of others) (await each).release();
    (await one.client.getConnection()).release();
  });

  it('asks a connection whether it lives, unless it has answered just now', async () => {
    // Beside this one, the server counts nothing else as such a command.
    const pings = async (): Promise<number> => Number((await one.client.queryOne("SHOW SESSION STATUS LIKE 'Com_admin_commands'")).Value);
    const first = await pings();
    assert.equal(await pings(), first);
    world.clock.advance(LIMITS.connectionTrustMs);
    assert.equal(await pings(), first + 1);
  });

  it('rolls a scope back whose process is gone in its midst', async () => {
    const scope = one.client.beginTransactionScope(async (transaction) => {
      await transaction.insert(TABLE, { name: 'x' });
      one.near.session.close();
      await transaction.query('SELECT 1');
    });
    await assert.rejects(scope, { code: 'CARTON_RPC_CLOSED' });
    assert.equal(Number(await other.client.count(TABLE)), 0);
  });

  it('tells what the driver tells when the database is away, and is well when it is back', async () => {
    const transaction = await one.client.beginTransaction();
    const direct = await world.direct.beginTransaction();
    await way.close();
    const told = async (run: () => Promise<unknown>): Promise<unknown> => run().then(() => assert.fail('it was answered'), ({ name, code, fatal }: Error & { code: string; fatal: boolean }) => ({ name, code, fatal }));
    for (const [near, far] of [[direct, transaction], [world.direct, one.client]] as const) {
      assert.deepEqual(await told(() => far.query('SELECT 1') as Promise<unknown>), await told(() => near.query('SELECT 1') as Promise<unknown>));
    }
    assert.deepEqual(await told(() => one.client.beginTransaction()), await told(() => world.direct.beginTransaction()));
    await Promise.allSettled([transaction.rollback(), direct.rollback()]);
    await way.open();
    assert.equal(Number(await one.client.count(TABLE)), 0);
    await one.client.beginTransactionScope((again) => again.insert(TABLE, { name: 'x' }));
    assert.equal(Number(await other.client.count(TABLE)), 1);
  });
});
