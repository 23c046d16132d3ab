/**
 * Drivers and ORMs as applications use them, through the wire: they get what the database itself gives them.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { promisify } from 'node:util';
import knexOf from 'knex';
import mysql, { type Connection, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import { DataTypes, Sequelize, Transaction } from 'sequelize';
import { startMariadb, type Mariadb } from '../../support/servers/mariadb';
import { eventually } from '../../support/eventually';
import { value, WirePair } from './wire_pair';

const MIB = 1024 * 1024;

describe('through the wire for MySQL', () => {
  let database: Mariadb;
  let pair: WirePair;
  let direct: Connection;
  let through: Connection;

  before(async () => {
    database = await startMariadb();
    pair = await new WirePair(database).listen();
    direct = await pair.connectDirectly({ multipleStatements: true });
    await direct.query('SET GLOBAL max_allowed_packet = 67108864');
    through = await pair.connect({ multipleStatements: true });
    direct = await pair.connectDirectly({ multipleStatements: true });
    await direct.query(`CREATE TABLE things (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50), data LONGBLOB, at DATETIME(3), price DECIMAL(10, 2), big BIGINT, doc JSON, unique (name));
      CREATE PROCEDURE both_of() BEGIN SELECT 1 AS a; SELECT 2 AS b, 3 AS c; END`);
  });
  after(async () => {
    await pair.close();
    await database.stop();
  });
  beforeEach(() => direct.query('TRUNCATE things'));

  /** The same from both, with what is to be the same: rows and columns, or an error. */
  async function same(run: (connection: Connection) => Promise<unknown>): Promise<unknown> {
    const told = async (connection: Connection): Promise<unknown> => {
      try {
        // A column keeps the buffer that it was read from, and with it whatever else came in the same chunk.
        return JSON.parse(JSON.stringify(await run(connection), (key, of: unknown) => (key === '_buf' || key.endsWith('Start') ? undefined : of)));
      } catch (error) {
        const { code, errno, sqlState, message } = error as Record<string, unknown>;
        return { code, errno, sqlState, message };
      }
    };
    const [one, other] = [await told(through), await told(direct)];
    assert.deepEqual(one, other);
    return one;
  }

  describe('mysql2 gets the same', () => {
    const CASES: Record<string, (connection: Connection) => Promise<unknown>> = {
      'rows and columns': (connection) => connection.query('SELECT 1 AS a, \'ü\' AS b, NULL AS c, NOW() > 0 AS d, 1.50 AS e, CAST(\'{"a":1}\' AS CHAR) AS f'),
      'no rows': (connection) => connection.query('SELECT * FROM things'),
      'several results': (connection) => connection.query('SELECT 1 AS a; SELECT 2 AS b; DO 1; SELECT 3 AS c'),
      'results of a procedure': (connection) => connection.query('CALL both_of()'),
      'an error': (connection) => connection.query('SELECT nothing FROM nowhere'),
      'an error after a result': (connection) => connection.query('SELECT 1; SELECT * FROM nowhere'),
      'an error of syntax': (connection) => connection.query('SELEC 1'),
      'an empty statement': (connection) => connection.query(''),
      'warnings': (connection) => connection.query('SELECT CAST(\'a\' AS INT) AS a; SHOW WARNINGS'),
      'counts of changes': (connection) => connection.query('INSERT INTO things (name) VALUES (\'x\'), (\'y\') ON DUPLICATE KEY UPDATE name = name; UPDATE things SET name = name; DELETE FROM things; TRUNCATE things'),
      'prepared rows': (connection) => connection.execute('SELECT ? AS a, ? AS b, ? AS c, ? AS d', [1, 'ü', null, new Date(1_700_000_000_123)]),
      'a prepared error': (connection) => connection.execute('SELECT ? FROM nowhere', [1]),
      'prepared changes': (connection) => connection.execute('DELETE FROM things WHERE id > ?', [0]),
      'a ping': async (connection) => await connection.ping() ?? null,
      'rows of 300 columns': (connection) => connection.query(`SELECT ${Array.from({ length: 300 }, (_, index) => `${index} AS c${index}`).join(', ')}`),
    };
    for (const [what, run] of Object.entries(CASES)) it(what, () => same(run));

    it('dates, decimals, blobs, large integers and documents, in text and prepared', async () => {
      const row = ['name', Buffer.from([0, 1, 255, 254, 10]), new Date(1_700_000_000_123), '12.34', '9007199254740993', JSON.stringify({ a: [1, 'ü'] })];
      await through.execute('INSERT INTO things (name, data, at, price, big, doc) VALUES (?, ?, ?, ?, ?, ?)', row);
      const [[read]] = await same((connection) => connection.query('SELECT * FROM things')) as [RowDataPacket[]];
      assert.deepEqual([Buffer.from(read?.data.data), new Date(read?.at)], [row[1], row[2]]);
      await same((connection) => connection.execute('SELECT * FROM things WHERE at = ? AND data = ?', [row[2] as Date, row[1] as Buffer]));
    });

    it('values beyond the length of a packet, both ways', async () => {
      for (const size of [16 * MIB - 1, 16 * MIB + 5, 2 * 0xffffff - 1, 33 * MIB]) {
        const big = Buffer.alloc(size, createHash('sha256').update(String(size)).digest());
        await through.query('TRUNCATE things');
        await through.execute('INSERT INTO things (name, data) VALUES (?, ?)', ['prepared', big]);
        await through.query('INSERT INTO things (name, data) VALUES (?, ?)', ['text', size < 17 * MIB ? big : big.subarray(0, 9 * MIB)]);
        const [rows] = await through.query('SELECT data FROM things ORDER BY id') as unknown as [{ data: Buffer }[]];
        assert.ok(rows[0]?.data.equals(big));
        const [[again]] = await through.execute('SELECT data FROM things WHERE name = ?', ['prepared']) as unknown as [{ data: Buffer }[]];
        assert.ok(again?.data.equals(big));
      }
      // A packet of the full length and an empty one behind it.
      const length = 0xffffff - 'SELECT LENGTH(\'\') AS a'.length - 1;
      assert.equal(await value(through, `SELECT LENGTH('${'x'.repeat(length)}') AS a`), length);
      assert.equal(pair.wire.status.pinned, 0);
    });

    it('a result that is read slowly, without its being kept between', async () => {
      await direct.query('INSERT INTO things (data) SELECT REPEAT(\'x\', 1000000) FROM seq_1_to_200');
      const slow = await pair.connect();
      const stream = (slow as unknown as { connection: import('mysql2').Connection }).connection.query('SELECT data FROM things').stream({ highWaterMark: 1 });
      let rows = 0;
      for await (const row of stream) {
        rows += (row as { data: Buffer }).data.length === 1_000_000 ? 1 : 0;
        if (rows % 20 === 1 && rows < 150) {
          await eventually('the database waits for the reader', async () => await value(direct, 'SELECT state FROM information_schema.processlist WHERE info = \'SELECT data FROM things\'') === 'Writing to net');
          for (let turn = 0; turn < 10; turn += 1) assert.equal(await value(through, 'SELECT 1'), 1);
          assert.equal(await value(direct, 'SELECT COUNT(*) FROM information_schema.processlist WHERE info = \'SELECT data FROM things\''), 1);
        }
      }
      assert.equal(rows, 200);
    });
  });

  it('a pool has its prepared statements wherever its connections are', async () => {
    const pool = mysql.createPool({ ...pair.options, connectionLimit: 20 });
    await Promise.all(Array.from({ length: 200 }, async (_, index) => {
      const [rows] = await pool.execute<RowDataPacket[]>(`SELECT ? + ${index % 7} AS sum`, [index]);
      assert.equal(rows[0]?.sum, index + (index % 7));
    }));
    assert.equal(pair.wire.status.pinned, 0);
    await pool.end();
  });

  it('the old mysql package speaks to it', async () => {
    const old = require('mysql') as { createConnection(options: object): { query(sql: string, values: unknown[], done: (error: Error | null, result: unknown) => void): void; end(): void } };
    const told = async (options: object): Promise<unknown> => {
      const connection = old.createConnection(options);
      const query = promisify(connection.query.bind(connection)) as (sql: string, values: unknown[]) => Promise<unknown>;
      const results = [await query('INSERT INTO things (name) VALUES (?)', ['old']), await query('UPDATE things SET name = ?', ['older']), await query('SELECT name, doc FROM things', []), await query('SET @x = 1', []), await query('CALL both_of()', [])];
      connection.end();
      await direct.query('TRUNCATE things');
      return JSON.parse(JSON.stringify(results));
    };
    assert.deepEqual(await told(pair.options), await told(pair.direct));
  });

  it('knex queries, runs transactions and streams', async () => {
    const knex = knexOf({ client: 'mysql2', connection: pair.options, pool: { min: 0, max: 8 } });
    try {
      await knex('things').insert(Array.from({ length: 50 }, (_, index) => ({ name: `k${index}`, big: index })));
      await assert.rejects(knex.transaction(async (transaction) => {
        await transaction('things').update({ name: null });
        throw new Error('back');
      }), /back/);
      await knex.transaction(async (transaction) => transaction('things').where('big', '<', 10).del(), { isolationLevel: 'serializable' });
      let names = 0;
      for await (const row of knex('things').whereNotNull('name').stream()) names += (row as { big: number }).big >= 10 ? 1 : 0;
      assert.equal(names, 40);
      assert.deepEqual(await knex('things').count({ count: '*' }), [{ count: 40 }]);
    } finally {
      await knex.destroy();
    }
    assert.equal(pair.wire.status.pinned, 0);
  });

  it('sequelize has its models, bulk inserts, transactions and isolation levels', async () => {
    const { socketPath, user, password } = pair.options;
    const sequelize = new Sequelize(database.database, user, password, { dialect: 'mysql', dialectOptions: { socketPath }, logging: false, timezone: '+08:00', pool: { max: 10 } });
    try {
      const Account = sequelize.define('account', { name: { type: DataTypes.STRING, unique: true }, amount: DataTypes.INTEGER, born: DataTypes.DATE });
      await Account.sync({ force: true });
      await Account.bulkCreate(Array.from({ length: 20 }, (_, index) => ({ name: `s${index}`, amount: 100, born: new Date(1_700_000_000_000) })));
      await Promise.all(Array.from({ length: 30 }, (_, index) => sequelize.transaction({ isolationLevel: Transaction.ISOLATION_LEVELS.READ_COMMITTED }, async (transaction) => {
        const [low, high] = [index % 19, (index % 19) + 1];
        await Account.decrement({ amount: 5 }, { where: { name: `s${low}` }, transaction });
        await Account.increment({ amount: 5 }, { where: { name: `s${high}` }, transaction });
        if (index % 3 === 0) throw new Error('back');
      }).catch((error: Error) => assert.equal(error.message, 'back'))));
      assert.equal(await Account.sum('amount'), 2000);
      const unmanaged = await sequelize.transaction();
      const created = await Account.create({ name: 'unmanaged', amount: 1 }, { transaction: unmanaged });
      await unmanaged.rollback();
      assert.equal(await Account.findByPk((created as unknown as { id: number }).id), null);
      await assert.rejects(Account.create({ name: 's1' }), { name: 'SequelizeUniqueConstraintError' });
      const [[zone]] = await sequelize.query('SELECT @@time_zone AS zone') as [{ zone: string }[], unknown];
      assert.equal(zone?.zone, '+08:00');
      assert.equal((await Account.findOne({ where: { name: 's1' } }))?.get('born')?.toString(), new Date(1_700_000_000_000).toString());
    } finally {
      await sequelize.close();
    }
    await eventually('nothing is pinned', () => pair.wire.status.pinned === 0);
  });

  it('leoric has its models and transactions', async () => {
    const { default: Realm, DataTypes: types } = require('leoric') as typeof import('leoric');
    const { user, password } = pair.options;
    // It hands no path of a socket on to its driver.
    const server = net.createServer((socket) => pair.wire.serve(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { address: host, port } = server.address() as net.AddressInfo;
    const realm = new Realm({ client: 'mysql2', host, port, user, password, database: database.database } as object);
    const Note = realm.define('Note', { id: { type: types.BIGINT, primaryKey: true, autoIncrement: true }, title: types.STRING } as never) as unknown as typeof import('leoric').Bone;
    try {
      await realm.connect();
      await realm.sync();
      await Note.bulkCreate([{ title: 'a' }, { title: 'b' }]);
      await assert.rejects(Note.transaction(async ({ connection }) => {
        await Note.create({ title: 'c' }, { connection });
        throw new Error('back');
      }), /back/);
      assert.equal(await Note.find().count(), 2);
    } finally {
      await realm.disconnect();
      server.close();
    }
    await eventually('nothing is pinned', () => pair.wire.status.pinned === 0);
  });

  it('statements that the database would have to close are prepared again', async () => {
    const one = await pair.connect();
    for (let turn = 0; turn < 2; turn += 1) {
      for (let index = 0; index < 300; index += 1) assert.equal(Object.values((await one.execute<RowDataPacket[]>(`SELECT ? + ${index}`, [1]))[0][0] ?? {})[0], index + 1);
    }
    one.unprepare('SELECT ? + 5');
    const [result] = await one.execute<ResultSetHeader>('INSERT INTO things (name) VALUES (?)', ['prepared']);
    assert.equal(result.affectedRows, 1);
  });
});
