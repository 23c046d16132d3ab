/**
 * The wire before a real MariaDB: what sessions keep and share, and what they leave when they end.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Connection } from 'mysql2/promise';
import { startMariadb, type Mariadb } from '../../support/servers/mariadb';
import { eventually } from '../../support/eventually';
import { PASSWORD, value, WirePair } from './wire_pair';

describe('the wire for MySQL', () => {
  let database: Mariadb;
  let pair: WirePair;
  let direct: Connection;

  before(async () => {
    database = await startMariadb();
  });
  after(() => database.stop());
  beforeEach(async () => {
    pair = await new WirePair(database).listen();
    direct = await pair.connectDirectly({ multipleStatements: true });
    await direct.query('CREATE ROLE IF NOT EXISTS mine');
    await direct.query('DROP TABLE IF EXISTS items, ledger; CREATE TABLE items (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50), data LONGBLOB, at DATETIME(3)); CREATE TABLE ledger (id INT PRIMARY KEY, amount INT NOT NULL)');
  });
  afterEach(() => pair.close());

  const pinned = (count: number): Promise<unknown> => eventually(`${count} pinned`, () => pair.wire.status.pinned === count, { seen: () => pair.wire.status });
  const numberOf = async (connection: Connection): Promise<number> => Number(await value(connection, 'SELECT CONNECTION_ID()'));

  describe('lets in', () => {
    it('who knows the password, and nobody else', async () => {
      await assert.rejects(pair.connect({ password: 'another' }), { code: 'ER_ACCESS_DENIED_ERROR', message: /CARTON_SIDECAR_WIRE_REFUSED/ });
      await assert.rejects(pair.connect({ password: '' }), /CARTON_SIDECAR_WIRE_REFUSED/);
      await assert.rejects(pair.connect({ user: 'nobody', password: PASSWORD }), /CARTON_SIDECAR_WIRE_REFUSED/);
      assert.equal(await value(await pair.connect(), 'SELECT 1'), 1);
    });

    it('nobody for another database', async () => {
      await assert.rejects(pair.connect({ database: 'mysql' }), /CARTON_SIDECAR_WIRE_REFUSED.*expected database "carton_test", got "mysql"/);
      assert.equal(await value(await pair.connect({ database: undefined }), 'SELECT DATABASE()'), database.database);
    });

    it('says when there is no database', async () => {
      const lost = await new WirePair(database, { backend: { ...pair.direct, socketPath: '/nonexistent/mysql.sock' } }).listen();
      await assert.rejects(lost.connect(), /CARTON_SIDECAR_WIRE_UNREACHABLE/);
      await lost.close();
    });
  });

  describe('sessions that share connections', () => {
    it('have the variables that a session of the database itself has', async () => {
      const variables = async (connection: Connection): Promise<Record<string, unknown>> => {
        const [rows] = await connection.query('SHOW SESSION VARIABLES');
        const fleeting = /^(?:pseudo_thread_id|rand_seed\d|timestamp|session_track_state_change|gtid_.*|last_.*)$/;
        return Object.fromEntries((rows as { Variable_name: string; Value: unknown }[]).map((row) => [row.Variable_name, row.Value] as const).filter(([name]) => !fleeting.test(name)));
      };
      for (const options of [{}, { charset: 'latin1_swedish_ci' }, { flags: ['-IGNORE_SPACE', '-FOUND_ROWS'] }]) {
        assert.deepEqual(await variables(await pair.connect(options)), await variables(await pair.connectDirectly(options)));
      }
    });

    it('keep their settings, and see none of the others\'', async () => {
      const [east, west, plain] = await Promise.all([pair.connect(), pair.connect(), pair.connect()]);
      await east.query('SET time_zone = \'+08:00\'');
      await west.query('SET time_zone = \'-05:00\', SESSION sql_mode = REPLACE(@@sql_mode, \'STRICT_TRANS_TABLES\', \'\')');
      for (let round = 0; round < 5; round += 1) {
        const zones = await Promise.all([east, west, plain].map((each) => value(each, 'SELECT @@time_zone')));
        assert.deepEqual(zones, ['+08:00', '-05:00', 'SYSTEM']);
      }
      assert.doesNotMatch(String(await value(west, 'SELECT @@sql_mode')), /STRICT/);
      assert.match(String(await value(east, 'SELECT @@sql_mode')), /STRICT/);
      assert.equal(pair.wire.status.pinned, 0);
    });

    it('with other flags get other connections', async () => {
      await direct.query('INSERT INTO items (id, name) VALUES (1, \'a\')');
      const changed = async (flags: string[]): Promise<unknown> => ((await (await pair.connect({ flags })).query('UPDATE items SET name = \'a\''))[0] as { affectedRows: number }).affectedRows;
      assert.equal(await changed([]), 1);
      assert.equal(await changed(['-FOUND_ROWS']), 0);
      await assert.rejects((await pair.connect()).query('SELECT 1; SELECT 2'), { code: 'ER_PARSE_ERROR' });
    });

    it('are two hundred over four connections, and no transfer is lost or halved', async () => {
      await direct.query(`INSERT INTO ledger VALUES ${Array.from({ length: 20 }, (_, id) => `(${id}, 1000)`).join(', ')}`);
      const sessions = await Promise.all(Array.from({ length: 200 }, () => pair.connect()));
      let most = 0;
      await Promise.all(sessions.map(async (session, index) => {
        for (let turn = 0; turn < 3; turn += 1) {
          const from = (index * 7 + turn) % 20;
          const to = (index * 3 + turn + 1) % 20;
          await session.beginTransaction();
          await session.query('SELECT id FROM ledger WHERE id IN (?, ?) ORDER BY id FOR UPDATE', [from, to]);
          await session.execute('UPDATE ledger SET amount = amount - ? WHERE id = ?', [turn + 1, from]);
          most = Math.max(most, pair.wire.status.backends);
          await session.execute('UPDATE ledger SET amount = amount + ? WHERE id = ?', [turn + 1, to]);
          await ((index + turn) % 5 === 0 ? session.rollback() : session.commit());
          assert.equal(await value(session, 'SELECT ? + 1', [index]), index + 1);
        }
      }));
      assert.equal(Number(await value(direct, 'SELECT SUM(amount) FROM ledger')), 20_000);
      assert.equal(most, 4);
      assert.deepEqual(pair.wire.status, { frontends: 200, backends: 4, pinned: 0, waiting: 0 });
    });
  });

  describe('keeps a connection for a session', () => {
    const BINDING: Record<string, string> = {
      'a variable of its own': 'SET @mine = 1',
      'a variable set in a query': 'SELECT @mine := 2',
      'a variable selected into': 'SELECT 3 INTO @mine',
      'a temporary table': 'CREATE TEMPORARY TABLE mine (id INT)',
      'a lock by name': 'SELECT GET_LOCK(\'mine\', 0)',
      'locked tables': 'LOCK TABLES items WRITE',
      'a statement prepared in text': 'PREPARE mine FROM \'SELECT 1\'',
      'another database': 'USE information_schema',
      'autocommit off': 'SET autocommit = 0',
      'a role': 'SET ROLE mine',
    };
    for (const [what, sql] of Object.entries(BINDING)) {
      it(`with ${what}, until it ends, and leaves nothing to the next`, async () => {
        const one = await pair.connect();
        await one.query(sql);
        const number = await numberOf(one);
        assert.equal(pair.wire.status.pinned, 1);
        const others = await Promise.all([1, 2, 3, 4, 5, 6].map(() => pair.connect()));
        assert.ok(!(await Promise.all(others.map(numberOf))).includes(number));
        assert.equal(await numberOf(one), number);
        one.destroy();
        await pinned(0);
        for (const other of others) {
          assert.deepEqual((await other.query('SELECT @mine AS mine, CURRENT_ROLE() AS role, DATABASE() AS name, @@autocommit AS autocommit'))[0], [{ mine: null, role: null, name: database.database, autocommit: 1 }]);
          assert.equal(await value(other, 'SELECT IS_FREE_LOCK(\'mine\')'), 1);
          await assert.rejects(other.query('SELECT * FROM mine'), { code: 'ER_NO_SUCH_TABLE' });
          await assert.rejects(other.query('EXECUTE mine'), { code: 'ER_UNKNOWN_STMT_HANDLER' });
          await other.reset();
        }
      });
    }

    it('until it resets itself', async () => {
      const one = await pair.connect();
      await one.query('SET @mine = 1');
      await one.query('BEGIN');
      await one.query('INSERT INTO items (name) VALUES (\'gone\')');
      await one.reset();
      assert.equal(pair.wire.status.pinned, 0);
      assert.equal(await value(one, 'SELECT @mine'), null);
      assert.equal(await value(direct, 'SELECT COUNT(*) FROM items'), 0);
    });

    it('for one transaction after SET TRANSACTION', async () => {
      const one = await pair.connect();
      await one.query('SET TRANSACTION READ ONLY');
      assert.equal(pair.wire.status.pinned, 1);
      await one.query('START TRANSACTION');
      await assert.rejects(one.query('DELETE FROM items'), { code: 'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION' });
      await one.query('COMMIT');
      assert.equal(pair.wire.status.pinned, 0);
      await one.query('DELETE FROM items');
    });

    it('when a procedure leaves a transaction open and fails', async () => {
      await direct.query('CREATE OR REPLACE PROCEDURE halves() BEGIN START TRANSACTION; INSERT INTO items (name) VALUES (\'half\'); SELECT * FROM nowhere; END');
      const one = await pair.connect();
      await assert.rejects(one.query('CALL halves()'), { code: 'ER_NO_SUCH_TABLE' });
      await pinned(1);
      one.destroy();
      await pinned(0);
      await eventually('the half is rolled back', async () => await value(direct, 'SELECT COUNT(*) FROM items') === 0);
    });

    it('that asks about its last statement, or says that it cannot know', async () => {
      const one = await pair.connect();
      const [{ insertId }] = await one.query('INSERT INTO items (name) VALUES (\'a\')') as unknown as [{ insertId: number }];
      assert.equal(await value(one, 'SELECT LAST_INSERT_ID()'), insertId);
      assert.equal(pair.wire.status.pinned, 1);
      const small = await new WirePair(database, { connectionLimit: 1 }).listen();
      const [two, three] = [await small.connect(), await small.connect()];
      await two.query('INSERT INTO items (name) VALUES (\'b\')');
      await three.query('INSERT INTO items (name) VALUES (\'c\')');
      await assert.rejects(two.query('SELECT LAST_INSERT_ID()'), /CARTON_SIDECAR_WIRE_PREVIOUS/);
      const [again] = await two.query('INSERT INTO items (name) VALUES (\'b\')') as unknown as [{ insertId: number }];
      assert.equal(await value(two, 'SELECT LAST_INSERT_ID()'), again.insertId);
      await small.close();
    });
  });

  describe('a session that ends', () => {
    it('in a transaction is rolled back at once', async () => {
      const one = await pair.connect();
      await one.beginTransaction();
      await one.query('INSERT INTO items (name) VALUES (\'lost\')');
      const number = await numberOf(one);
      one.destroy();
      await eventually('its connection is gone', async () => await value(direct, 'SELECT COUNT(*) FROM information_schema.processlist WHERE id = ?', [number]) === 0);
      assert.equal(await value(direct, 'SELECT COUNT(*) FROM items'), 0);
      await direct.query('LOCK TABLES items WRITE');
      await direct.query('UNLOCK TABLES');
    });

    it('under a statement has it killed, and its connection replaced', async () => {
      const small = await new WirePair(database, { connectionLimit: 1 }).listen();
      const [one, two] = [await small.connect(), await small.connect()];
      const running = one.query('SELECT SLEEP(600), \'long\'');
      running.catch(() => undefined);
      const sleeps = (): Promise<unknown> => value(direct, 'SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE \'SELECT SLEEP(600)%\'');
      await eventually('it runs', async () => await sleeps() === 1);
      const next = value(two, 'SELECT 7');
      one.destroy();
      assert.equal(await next, 7);
      assert.equal(await sleeps(), 0);
      await small.close();
    });
  });

  describe('a connection of the database that dies', () => {
    const killed = async (sql: string): Promise<{ one: Connection; error: Promise<unknown> }> => {
      const one = await pair.connect();
      if (sql !== '') await one.query(sql);
      const error = one.query('SELECT SLEEP(600), \'dies\'').then(() => undefined, (reason: unknown) => reason);
      const number = await eventually('it runs', async () => await value(direct, 'SELECT id FROM information_schema.processlist WHERE info LIKE \'SELECT SLEEP(600), \\\'dies%\'') as number | undefined);
      await direct.query(`KILL ${number}`);
      return { one, error };
    };

    it('under a statement is told, and the session goes on', async () => {
      const { one, error } = await killed('');
      assert.match(String(await error), /CARTON_SIDECAR_WIRE_LOST|interrupted|killed/i);
      assert.equal(await value(one, 'SELECT 1'), 1);
    });

    it('under a session with a transaction ends it', async () => {
      const { one, error } = await killed('BEGIN');
      assert.ok(await error instanceof Error);
      await assert.rejects(one.query('SELECT 1'));
      await eventually('it is gone', () => pair.wire.status.frontends === 0);
    });

    it('while it is idle is replaced', async () => {
      const one = await pair.connect();
      const number = await numberOf(one);
      await direct.query(`KILL ${number}`);
      await eventually('it is noticed', () => pair.wire.status.backends === 0);
      assert.notEqual(await numberOf(one), number);
    });

    it('while a session keeps it ends that session', async () => {
      const one = await pair.connect();
      await one.query('SET @mine = 1');
      const ended = once(one as unknown as NodeJS.EventEmitter, 'error');
      await direct.query(`KILL ${await numberOf(one)}`);
      await ended;
      assert.equal(pair.wire.status.frontends, 0);
    });
  });

  describe('refuses', () => {
    it('what concerns the connection itself, and goes on', async () => {
      const one = await pair.connect();
      await assert.rejects(one.query('KILL QUERY 1'), /CARTON_SIDECAR_WIRE_UNSUPPORTED.*KILL/);
      await assert.rejects(one.changeUser({ user: 'root' }), /CARTON_SIDECAR_WIRE_UNSUPPORTED/);
      await assert.rejects(one.query('LOAD DATA LOCAL INFILE \'/etc/hostname\' INTO TABLE items'), { errno: 4166 });
      assert.equal(await value(one, 'SELECT 1'), 1);
    });
  });
});
