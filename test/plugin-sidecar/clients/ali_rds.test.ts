/**
 * What stands for a client of ali-rds in a function process does what the client does: each case runs on a client that
 * is used directly and on the stand-in, with the same rows before, and has the same outcome.
 */
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { startMariadb, type Mariadb } from '../../support/servers/mariadb';
import { configOf, makeTable, requireAsPlugin, TABLE, withoutClasses, World, type Client, type Process } from './rds_world';

const ROW = {
  name: 'Žofie 张三 🐘', email: 'it\'s "q"@example.com', born: new Date('2020-02-29T12:34:56.789Z'), at: new Date(1_600_000_000_000),
  data: Buffer.from([0, 255, 39, 92, 34, 10]), doc: '{"a":[1,null,"\\\\\'"]}', big: '9007199254740993', exact: '12345678901234567890.0123456789', part: 0.1, flag: true,
};
const OTHER = { name: null, email: 'b@example.com', born: null };

/** What came of it, errors with all that callers look at. */
async function outcomeOf(run: () => unknown): Promise<unknown> {
  try {
    return withoutClasses(await run());
  } catch (thrown) {
    const error = thrown as Error & Record<string, unknown>;
    const { name, message, code, errno, sqlState, sqlMessage, sql, index, fatal, stack } = error;
    return { name, message, code, errno, sqlState, sqlMessage, sql, index, fatal, suffix: /\n {4}sql: [^]*$/.exec(String(stack))?.[0] };
  }
}

describe('a client of ali-rds in another process', function () {
  this.timeout(120_000);
  let server: Mariadb;
  let world: World;
  let far: Process;
  before(async () => {
    server = await startMariadb();
    world = new World(configOf(server, { multipleStatements: true, timezone: '+03:00', typeCast: typeCast }));
    far = await world.process();
  });
  after(async () => {
    await world.close();
    await server.stop();
  });
  beforeEach(() => makeTable(world.direct));
  afterEach(() => world.quiet());

  /** A function in the configuration, as egg-mysql's users have for flags. */
  function typeCast(field: { type: string; length: number; string(): string | null }, next: () => unknown): unknown {
    return field.type === 'TINY' && field.length === 1 ? field.string() === '1' : next();
  }

  async function same(run: (client: Client) => unknown): Promise<unknown> {
    const expected = await outcomeOf(() => run(world.direct));
    await makeTable(world.direct);
    const seen = await outcomeOf(() => run(far.client));
    assert.deepEqual(seen, expected);
    return seen;
  }

  const filled = async (client: Client): Promise<unknown> => client.insert(TABLE, [ROW, { ...ROW, ...OTHER }]);

  const CASES: Readonly<Record<string, (client: Client) => unknown>> = {
    'query with values': async (client) => (await filled(client), client.query('SELECT * FROM ?? WHERE email = ?', [TABLE, ROW.email])),
    'query with an object of values in SET': async (client) => client.query(`INSERT INTO ${TABLE} SET ?`, { name: 'x', born: ROW.born }),
    'query without a result': (client) => client.query('SELECT 1 AS one FROM DUAL WHERE 1 = 0'),
    'queryOne': async (client) => (await filled(client), [await client.queryOne(`SELECT name FROM ${TABLE} ORDER BY id`), await client.queryOne(`SELECT name FROM ${TABLE} WHERE id = 0`)]),
    'several statements at once': (client) => client.query(`SELECT 1 AS a; INSERT INTO ${TABLE} SET name = 'x'; SELECT name, 'a;b' AS c FROM ${TABLE}`),
    'get': async (client) => (await filled(client), [await client.get(TABLE, { email: ROW.email }), await client.get(TABLE, { id: 99 })]),
    'select with all options': async (client) => (await filled(client), client.select(TABLE, { where: { id: [1, 2], flag: 1 }, columns: ['id', 'name', 'data'], orders: [['id', 'desc'], 'name'], limit: 1, offset: 1 })),
    'select where something is null': async (client) => (await filled(client), client.select(TABLE, { where: { name: null }, columns: ['id'] })),
    'insert of one row': (client) => client.insert(TABLE, ROW),
    'insert of several rows, of some columns': async (client) => [await client.insert(TABLE, [ROW, OTHER], { columns: ['name', 'email'] }), await client.select(TABLE)],
    'insert with literals': async (client) => (await client.insert(TABLE, { name: 'x', born: client.literals.now }), (await client.get(TABLE, { name: 'x' })).born instanceof Date),
    'insert with a literal of one\'s own': async (client) => (await client.insert(TABLE, { name: new client.literals.Literal('CONCAT("a", "b")') }), client.select(TABLE)),
    'values that make SQL of themselves': (client) => client.query('SELECT ? AS x', [{ toSqlString: () => '1 + 1' }]),
    'update by id, and by a condition': async (client) => (await filled(client), [await client.update(TABLE, { id: 1, name: 'n' }), await client.update(TABLE, { name: 'm' }, { where: { id: 2 }, columns: ['name'] }), await client.select(TABLE)]),
    'update without a condition': (client) => client.update(TABLE, { name: 'n' }),
    'updateRows': async (client) => (await filled(client), [await client.updateRows(TABLE, [{ id: 1, name: 'one' }, { id: 2, name: 'two' }]), await client.updateRows(TABLE, [{ row: { part: 2 }, where: { name: 'two' } }]), await client.select(TABLE)]),
    'delete': async (client) => (await filled(client), [await client.delete(TABLE, { id: 1 }), await client.delete(TABLE), await client.count(TABLE)]),
    'count': async (client) => (await filled(client), [await client.count(TABLE), await client.count(TABLE, { id: 1 })]),
    'a BLOB of a megabyte': async (client) => [await client.query('SELECT ? AS data', [Buffer.alloc(1 << 20, 7)])],
    'locks and unlock': async (client) => {
      const connection = await client.getConnection();
      await connection.locks([{ tableName: TABLE, lockType: 'WRITE', tableAlias: 't' }]);
      const results = [await outcomeOf(() => connection.query(`SELECT 1 FROM ${TABLE}`)), await connection.unlock(), await connection.lockOne(TABLE, 'READ', 'u'), await connection.unlock()];
      connection.release();
      return results;
    },
    'locks of nothing': (client) => client.locks([]),
    'a wrong statement': (client) => client.query('SELECT nothing FROM nowhere WHERE x = ?', ['y']),
    'a key twice': async (client) => (await filled(client), client.insert(TABLE, ROW)),
    'an error among several statements': (client) => client.query('SELECT 1; SELECT wrong'),
    'options for a query, with nested tables': async (client) => (await filled(client), client.query({ sql: `SELECT t.id, u.name FROM ${TABLE} t, ${TABLE} u WHERE t.id = ? LIMIT 1`, nestTables: true, values: [1] } as unknown as string)),
    'options for a query, without types': async (client) => (await filled(client), client.query({ sql: `SELECT id, flag, born FROM ${TABLE}`, typeCast: false } as unknown as string)),
    'a query that takes too long': (client) => client.query({ sql: 'SELECT SLEEP(30)', timeout: 20 } as unknown as string),
    'a connection': async (client) => {
      const connection = await client.getConnection();
      await connection.query('SET @x = 5');
      const rows = await connection.query('SELECT @x AS x');
      assert.equal(typeof connection.threadId, 'number');
      connection.release();
      assert.throws(() => connection.release(), /was released/);
      return rows;
    },
    'the driver\'s connection, with its methods': async (client) => {
      const { conn, ...connection } = await client.getConnection();
      await conn.beginTransaction();
      await conn.query({ sql: `INSERT INTO ${TABLE} SET name = ?` } as unknown as string, ['x']);
      await conn.rollback();
      const pong = await new Promise((resolve, reject) => conn.ping((error) => (error ? reject(error as Error) : resolve('pong'))));
      const escaped = [conn.escape(ROW.born), conn.escapeId('a.b'), conn.format('?', [ROW.born])];
      conn.on('error', () => undefined).release();
      return [pong, escaped, Object.keys(connection).length > 0, await client.count(TABLE)];
    },
    'a transaction that commits': async (client) => {
      const transaction = await client.beginTransaction();
      await transaction.insert(TABLE, { name: 'x' });
      await transaction.commit();
      return [transaction.isCommit, await outcomeOf(() => transaction.query('SELECT 1')), await outcomeOf(() => transaction.commit()), await client.count(TABLE)];
    },
    'a transaction that rolls back': async (client) => {
      const transaction = await client.beginTransaction();
      await transaction.insert(TABLE, { name: 'x' });
      const within = await transaction.count(TABLE);
      await transaction.rollback();
      return [within, transaction.isRollback, await client.count(TABLE)];
    },
    'a transaction with an error in between': async (client) => {
      const transaction = await client.beginTransaction();
      await transaction.insert(TABLE, { id: 1 });
      const error = await outcomeOf(() => transaction.insert(TABLE, { id: 1 }));
      await transaction.commit();
      return [error, await client.select(TABLE, { columns: ['id'] })];
    },
    'a scope': async (client) => [await client.beginTransactionScope((transaction) => transaction.insert(TABLE, { name: 'x' })), await client.count(TABLE)],
    'a scope in a scope, which are one transaction': async (client) => [
      await client.beginTransactionScope(async (outer) => {
        await outer.insert(TABLE, { name: 'x' });
        return client.beginTransactionScope(async (inner) => (await inner.insert(TABLE, { name: 'y' }), inner === outer));
      }),
      await client.count(TABLE),
    ],
    'a scope whose callback throws': async (client) => [
      await outcomeOf(() => client.beginTransactionScope(async (transaction) => {
        await transaction.insert(TABLE, { name: 'x' });
        throw Object.assign(new RangeError('too much'), { code: 'E_MUCH' });
      })),
      await client.count(TABLE),
    ],
    'a scope in a scope that throws': async (client) => [
      await outcomeOf(() => client.beginTransactionScope(async (outer) => {
        await outer.insert(TABLE, { name: 'x' });
        await client.beginTransactionScope(async () => Promise.reject(new Error('inner')));
      })),
      await client.count(TABLE),
    ],
    'scopes at once, each with a transaction': async (client) => [
      await Promise.all([1, 2, 3].map((id) => client.beginTransactionScope(async (transaction) => {
        await transaction.insert(TABLE, { id });
        if (id === 2) throw new Error('no');
        return id;
      }).catch((error: Error) => error.message))),
      await client.select(TABLE, { columns: 'id', orders: 'id' }),
    ],
    'a doomed scope': async (client) => [await client.beginDoomedTransactionScope(async (transaction) => (await transaction.insert(TABLE, { name: 'x' }), transaction.count(TABLE))), await client.count(TABLE)],
    'a doomed scope that throws': async (client) => [await outcomeOf(() => client.beginDoomedTransactionScope(async (transaction) => (await transaction.insert(TABLE, { name: 'x' }), Promise.reject(new Error('x'))))), await client.count(TABLE)],
    'what is local': (client) => [
      client.escape(ROW.email), client.escapeId('a`.b'), client.format('?? = ? :x', ['a', [1, null]]), client.format('x = :x', { x: 'y' }), String(client.literals.now),
    ],
    'the pool\'s own methods': async (client) => [await (client.pool.query as (sql: string, values: unknown) => unknown)('SELECT ? AS x', [ROW.born]), client.pool.escape(ROW.born), client.pool.escapeId('a')],
  };

  for (const [name, run] of Object.entries(CASES)) it(name, () => same(run));

  it('makes one call of a query, and one to begin a transaction', async () => {
    far.calls.length = 0;
    await far.client.query('SELECT 1');
    await far.client.select(TABLE, { limit: 1 });
    await far.client.beginTransactionScope((transaction) => transaction.query('SELECT 1'));
    assert.deepEqual(far.calls, ['query', 'query', 'connection', 'query', 'commit']);
  });

  it('is an instance of the class that the plugin makes, and its methods can be mocked', async () => {
    const { RDSClient } = requireAsPlugin('ali-rds') as { RDSClient: new () => object };
    assert.ok(far.client instanceof RDSClient);
    const { query } = far.client;
    far.client.query = (async () => [{ x: 'mocked' }]) as typeof query;
    assert.deepEqual(await far.client.queryOne('SELECT 1'), { x: 'mocked' });
    far.client.query = query;
  });

  it('calls hooks and the log in this process, for queries, connections and transactions', async () => {
    const run = async (client: Client): Promise<unknown> => {
      const heard: unknown[] = [];
      client.beforeQuery((sql) => (heard.push(['before', sql]), sql.replace('one', 'two')));
      client.afterQuery((sql, result: unknown, took, error) => void heard.push(['after', sql, withoutClasses(result), typeof took, error?.message]));
      client.setLogging((sql) => void heard.push(['log', sql]));
      await client.query('SELECT ? AS one', [1]);
      await outcomeOf(() => client.query('SELECT one'));
      await client.beginTransactionScope((transaction) => transaction.query('SELECT 3 AS one'));
      const hooks = client as unknown as { beforeQueryHandlers: unknown[]; afterQueryHandlers: unknown[] };
      hooks.beforeQueryHandlers.length = hooks.afterQueryHandlers.length = 0;
      client.setLogging(undefined as never);
      return heard;
    };
    const heard = (await same(run)) as unknown[];
    assert.equal(heard.length, 8);
  });

  it('keeps transactions of scopes in the storage of the configuration', async () => {
    const connectionStorage = new AsyncLocalStorage<Record<string, unknown>>();
    const { client } = await world.process({ connectionStorage, connectionStorageKey: 'here' });
    await client.beginTransactionScope(async (transaction) => assert.equal(connectionStorage.getStore()?.['here'], transaction));
  });

  it('leaves it to the sidecar to ask for what it connects with', async () => {
    const { client } = await world.process({ getConnectionConfig: () => assert.fail('asked') });
    assert.deepEqual(await client.query('SELECT 1 AS x'), [{ x: 1 }]);
  });

  it('formats once, with the format of the configuration', async () => {
    const queryFormat = (sql: string, values: unknown): string => `${sql} /* ${JSON.stringify(values)} */`;
    const other = new World(configOf(server, { queryFormat }));
    const { client, close } = await other.process();
    const error = (await client.query('SELECT wrong', ['v']).catch((thrown: unknown) => thrown)) as { sql: string };
    assert.equal(error.sql, 'SELECT wrong /* ["v"] */');
    close();
    await other.close();
  });

  it('refuses a function as typeCast of a query, and says where it belongs', async () => {
    const error = (await outcomeOf(() => far.client.query({ sql: 'SELECT 1', typeCast: () => 1 } as unknown as string))) as { code: string; message: string };
    assert.equal(error.code, 'CARTON_SIDECAR_CANNOT_TRAVEL');
    assert.match(error.message, /configuration of the client/);
  });

  it('runs queries on connections that a listener prepares', async () => {
    const { client } = await world.process();
    client.pool.on('connection', (connection) => void connection.query('SET @prepared = 7', () => undefined));
    assert.deepEqual(await client.query('SELECT @prepared AS x'), [{ x: '7' }]);
  });

  it('counts what this process has', async () => {
    const connection = await far.client.getConnection();
    assert.deepEqual(far.client.stats, { acquiringConnections: 0, allConnections: 1, freeConnections: 0, connectionQueue: 0, busyConnections: 1 });
    connection.release();
    assert.equal(far.client.stats.allConnections, 0);
  });

  it('ends without ending what is not its own', async () => {
    const { client } = await world.process();
    await client.end();
    assert.deepEqual(await far.client.query('SELECT 1 AS x'), [{ x: 1 }]);
  });

  it('lets what is under way come to its end before a release', async () => {
    const connection = await far.client.getConnection();
    const late = connection.query(`INSERT INTO ${TABLE} SET name = 'late'`);
    connection.release();
    await late;
    assert.equal(Number(await far.client.count(TABLE)), 1);
  });
});
