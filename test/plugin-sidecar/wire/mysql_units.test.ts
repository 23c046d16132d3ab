/**
 * The wire's readers on bytes that are cut anywhere, and what it takes statements for.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CommandReader } from '../../../plugin-sidecar/lib/wire/mysql/commands';
import { isProven, readLogin } from '../../../plugin-sidecar/lib/wire/mysql/handshake';
import { KeptStatements } from '../../../plugin-sidecar/lib/wire/mysql/prepared';
import { COMMAND, MAX_PAYLOAD, STATUS, command, okPacket, packet } from '../../../plugin-sidecar/lib/wire/mysql/protocol';
import { ResponseScanner, type Shape } from '../../../plugin-sidecar/lib/wire/mysql/response';
import { readSetting, Settings, type Setting } from '../../../plugin-sidecar/lib/wire/mysql/settings';
import { effectsOf, RestOfStatement } from '../../../plugin-sidecar/lib/wire/mysql/statement';
import { codeOf } from '../../../lib/support/errors';
import { LIMITS } from '../../../lib/support/limits';

const eof = (sequence: number, status: number): Buffer => packet(sequence, Buffer.of(0xfe, 0, 0, status & 0xff, status >> 8));
const error = (sequence: number): Buffer => packet(sequence, Buffer.from('\xff\x01\x04#HY000no', 'latin1'));
const text = (sequence: number, content: string): Buffer => packet(sequence, Buffer.from(content, 'latin1'));
const result = (status: number): Buffer => Buffer.concat([text(1, '\x01'), text(2, '\x03def'), eof(3, status), text(4, '\x03abc'), text(5, `\xfe${'x'.repeat(20)}`), text(6, ''), eof(7, status)]);

/** Cuts bytes at places of which fast-check chooses. */
const cut = (bytes: Buffer, places: readonly number[]): Buffer[] => {
  const ends = [...new Set(places.map((place) => place % bytes.length))].filter((place) => place > 0).sort((a, b) => a - b);
  return [...ends, bytes.length].map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
};

describe('ResponseScanner', () => {
  const ANSWERS: Record<string, { shape: Shape; bytes: Buffer; outcome: { failed: boolean; status: number | undefined; stateChanged: boolean } }> = {
    'an OK packet': { shape: 'results', bytes: okPacket(1, STATUS.inTransaction), outcome: { failed: false, status: STATUS.inTransaction, stateChanged: false } },
    'an OK packet with large numbers': { shape: 'results', bytes: packet(1, Buffer.from([0, 0xfe, 1, 2, 3, 4, 5, 6, 7, 8, 0xfd, 1, 2, 3, 2, 0x40, 0, 0])), outcome: { failed: false, status: 0x4002, stateChanged: true } },
    'an error': { shape: 'results', bytes: error(1), outcome: { failed: true, status: undefined, stateChanged: false } },
    'a result': { shape: 'results', bytes: result(2), outcome: { failed: false, status: 2, stateChanged: false } },
    'several results': { shape: 'results', bytes: Buffer.concat([okPacket(1, STATUS.moreResults | STATUS.stateChanged), result(STATUS.moreResults), okPacket(9, 3)]), outcome: { failed: false, status: 3, stateChanged: true } },
    'an error among rows': { shape: 'results', bytes: Buffer.concat([result(STATUS.moreResults), error(8)]), outcome: { failed: true, status: STATUS.moreResults, stateChanged: false } },
    'a cursor': { shape: 'results', bytes: Buffer.concat([text(1, '\x01'), text(2, '\x03def'), eof(3, STATUS.cursorExists)]), outcome: { failed: false, status: STATUS.cursorExists, stateChanged: false } },
    'rows that are fetched': { shape: 'rows', bytes: Buffer.concat([text(1, '\0\0abc'), eof(2, STATUS.lastRowSent)]), outcome: { failed: false, status: STATUS.lastRowSent, stateChanged: false } },
    'a prepared statement': { shape: 'prepared', bytes: Buffer.concat([packet(1, Buffer.of(0, 7, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0)), text(2, '\x03def'), text(3, '\x03def'), eof(4, 2), text(5, '\x03def'), eof(6, 2)]), outcome: { failed: false, status: 2, stateChanged: false } },
    'a prepared statement without anything': { shape: 'prepared', bytes: packet(1, Buffer.of(0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)), outcome: { failed: false, status: undefined, stateChanged: false } },
    'a text': { shape: 'one', bytes: text(1, 'Uptime: 5'), outcome: { failed: false, status: undefined, stateChanged: false } },
  };
  for (const [what, { shape, bytes, outcome }] of Object.entries(ANSWERS)) {
    it(`finds the end of ${what}, wherever it is cut`, () => {
      fc.assert(fc.property(fc.array(fc.nat(10_000), { maxLength: 20 }), (places) => {
        const scanner = new ResponseScanner(shape);
        const chunks = cut(bytes, places);
        chunks.forEach((chunk, index) => assert.equal(scanner.push(chunk), index === chunks.length - 1 ? chunk.length : -1));
        assert.deepEqual(scanner.outcome, outcome);
        assert.equal(scanner.isBad, false);
      }), { numRuns: 50 });
    });
  }

  it('takes what follows an answer for no part of it', () => {
    assert.equal(new ResponseScanner('results').push(Buffer.concat([okPacket(1, 2), okPacket(1, 2)])), okPacket(1, 2).length);
  });

  it('follows a row over several packets, whatever the later ones begin with', () => {
    const scanner = new ResponseScanner('results');
    const large = packet(4, Buffer.alloc(MAX_PAYLOAD, 0xfd));
    assert.equal(scanner.push(Buffer.concat([text(1, '\x01'), text(2, '\x03def'), eof(3, 2), large, eof(5, 2)])), -1);
    assert.notEqual(scanner.push(eof(6, 2)), -1);
  });

  it('does not take a request for a file, nor an OK packet that is cut off', () => {
    for (const bytes of [text(1, '\xfb/etc/passwd'), text(1, '\0\0')]) {
      const scanner = new ResponseScanner('results');
      scanner.push(bytes);
      assert.equal(scanner.isBad, true);
    }
  });
});

describe('CommandReader', () => {
  it('gives commands as they were sent, however they are cut', () => {
    const sent = [command(COMMAND.query, 'SELECT 1'), command(COMMAND.ping), command(COMMAND.query, 'x'.repeat(3_000))];
    fc.assert(fc.property(fc.array(fc.nat(10_000), { maxLength: 40 }), (places) => {
      const reader = new CommandReader();
      const got: string[] = [];
      for (const chunk of cut(Buffer.concat(sent), places)) {
        reader.push(chunk);
        for (let next = reader.next(); next !== undefined; next = reader.next()) got.push(next.bytes.toString('latin1'));
      }
      assert.deepEqual(got, sent.map((bytes) => bytes.toString('latin1')));
      assert.equal(reader.waitingBytes, 0);
    }), { numRuns: 50 });
  });

  it('passes on what is longer than the limit, in pieces', () => {
    const body = Buffer.alloc(MAX_PAYLOAD + 10, 'y');
    const bytes = Buffer.concat([packet(0, body.subarray(0, MAX_PAYLOAD)), packet(1, body.subarray(MAX_PAYLOAD))]);
    const reader = new CommandReader();
    reader.push(bytes.subarray(0, LIMITS.wireCommandBytes - 1));
    assert.equal(reader.next(), undefined);
    reader.push(bytes.subarray(LIMITS.wireCommandBytes - 1, MAX_PAYLOAD + 6));
    const first = reader.next();
    assert.equal(first?.isWhole, false);
    assert.equal(reader.rest().isAll, false);
    reader.push(bytes.subarray(MAX_PAYLOAD + 6));
    assert.equal(reader.rest().isAll, true);
    assert.equal(reader.waitingBytes, 0);
  });

  it('refuses numbers that do not count from 0, and empty packets', () => {
    for (const bytes of [packet(1, Buffer.of(3)), packet(0, Buffer.alloc(0))]) {
      const reader = new CommandReader();
      reader.push(bytes);
      assert.throws(() => reader.next(), (thrown) => codeOf(thrown) === 'CARTON_SIDECAR_WIRE_PROTOCOL');
    }
  });
});

describe('effectsOf', () => {
  const told = (sql: string, mayBeMany = false): string[] => Object.entries(effectsOf(sql, mayBeMany)).filter(([, is]) => is !== false).map(([name]) => name);

  it('finds nothing in what ORMs send', () => {
    for (const sql of ['SELECT * FROM `set` WHERE `use` = 1', 'INSERT INTO t (lock_name) VALUES (\'x\')', 'update users set name = \'use @me\'', 'START TRANSACTION;', 'COMMIT', 'BEGIN', 'SAVEPOINT a', 'SHOW FULL COLUMNS FROM t', 'CREATE TABLE t (id INT)', '/* a comment */ SELECT 1', 'SELECT 1; ']) assert.deepEqual(told(sql, true), [], sql);
  });

  it('finds what binds a session', () => {
    for (const sql of ['USE other', ' \n-- a line\n/* and */ use other', 'SELECT get_lock(\'a\', 1)', 'LOCK TABLES t READ', 'create or replace temporary table t (id int)', 'SELECT @a := 1', 'SELECT 1 INTO @a', 'PREPARE s FROM \'x\'', 'XA START \'a\'', 'FLUSH TABLES WITH READ LOCK', 'HANDLER t OPEN']) assert.deepEqual(told(sql), ['binds'], sql);
    assert.deepEqual(told('SELECT 1; SET time_zone = \'+00:00\'', true), ['binds']);
    for (const sql of ['/*!40101 SET @old = 1 */', '/*!40101 SET NAMES utf8 */']) assert.deepEqual(told(sql), ['binds', 'isSet']);
    assert.deepEqual(told('SET ROLE a'), ['binds', 'outlasts', 'isSet']);
  });

  it('finds who asks about the statement before, unless that is in the same request', () => {
    for (const sql of ['SELECT LAST_INSERT_ID()', 'select row_count ( )', 'SHOW WARNINGS', 'SHOW COUNT(*) ERRORS', 'SELECT @@warning_count', 'SELECT FOUND_ROWS()', 'INSERT INTO t VALUES (LAST_INSERT_ID())']) assert.deepEqual(told(sql), ['refersBack'], sql);
    assert.deepEqual(told('INSERT INTO t VALUES (1); SELECT LAST_INSERT_ID()', true), []);
    assert.deepEqual(told('UPDATE s SET id = LAST_INSERT_ID(id + 1)'), ['isReferredTo']);
    assert.deepEqual(told('SELECT SQL_CALC_FOUND_ROWS * FROM t'), ['isReferredTo']);
  });

  it('finds what binds behind the part of a long statement that was read', () => {
    const rest = new RestOfStatement();
    assert.equal(rest.binds(Buffer.from(', (1), (GET_')), false);
    assert.equal(rest.binds(Buffer.from('LOCK(\'a\', 1))')), true);
  });
});

describe('readSetting', () => {
  const kind = (sql: string): string => readSetting(sql).kind;
  const setting = (sql: string): Setting => (readSetting(sql) as { setting: Setting }).setting;

  it('knows settings that can be made again', () => {
    for (const sql of ['time_zone = \'+08:00\'', 'NAMES utf8mb4 COLLATE utf8mb4_bin', 'SESSION sql_mode = \'ANSI,STRICT_ALL_TABLES\', wait_timeout = 10', '@@session.sql_mode = REPLACE(@@sql_mode, \'a,b\', \'\')', 'SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED', 'CHARACTER SET utf8', '`sql_select_limit` = DEFAULT']) assert.equal(kind(sql), 'setting', sql);
  });

  it('takes all else for binding, but what leaves nothing or is told otherwise', () => {
    for (const sql of ['@a = 1', 'time_zone = @old', 'time_zone = ?', 'sql_mode = (SELECT mode FROM modes)', 'insert_id = 5', 'timestamp = 1', 'session_track_state_change = 0', 'time_zone = \'+00:00\', @a = 1', 'ROLE a', 'time_zone = \'open', 'a = 1; DROP TABLE t', 'autocommit = 0, time_zone = \'+00:00\'', `a = '${'x'.repeat(3_000)}'`]) assert.equal(kind(sql), 'binding', sql);
    for (const sql of ['autocommit = 0', 'GLOBAL max_connections = 5', '@@global.a = 1', 'PASSWORD = \'x\'']) assert.equal(kind(sql), 'none', sql);
    for (const sql of ['TRANSACTION READ ONLY', '@@transaction_isolation = \'SERIALIZABLE\'']) assert.equal(kind(sql), 'once', sql);
  });

  it('keeps the newest of each, in order, and not more than a limit', () => {
    const keyOf = (...sqls: string[]): string[] => sqls.reduce((settings, sql) => settings.with(setting(sql)) as Settings, Settings.none).statements.map(({ sql }) => sql);
    assert.deepEqual(keyOf('time_zone = \'a\'', 'sql_mode = \'b\'', 'time_zone = \'c\''), ['SET sql_mode = \'b\'', 'SET time_zone = \'c\'']);
    // What was made of the earlier value is to be made of it again.
    assert.equal(keyOf('sql_mode = \'b\'', 'sql_mode = CONCAT(@@sql_mode, \'c\')', 'sql_mode = \'b\'').length, 3);
    let settings: Settings | undefined = Settings.none;
    for (let index = 0; index < LIMITS.wireSettings; index += 1) settings = settings?.with(setting(`a${index} = 1`));
    assert.equal(settings?.statements.length, LIMITS.wireSettings);
    assert.equal(settings?.with(setting('one_more = 1')), undefined);
  });
});

describe('a handshake response', () => {
  it('is read, or refused with a code, whatever its bytes', () => {
    const facts = { version: 'x', capabilities: -1, extended: 8, collation: 8 };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        readLogin(Buffer.from(bytes), facts);
      } catch (thrown) {
        assert.equal(codeOf(thrown), 'CARTON_SIDECAR_WIRE_PROTOCOL');
      }
    }));
  });

  it('proves an empty password by nothing at all', () => {
    assert.equal(isProven(Buffer.alloc(0), '', Buffer.alloc(20)), true);
    assert.equal(isProven(Buffer.alloc(20), '', Buffer.alloc(20)), false);
    assert.equal(isProven(Buffer.alloc(0), 'x', Buffer.alloc(20)), false);
  });
});

describe('KeptStatements', () => {
  it('names the one that was unused for longest, at the limit', () => {
    const kept = new KeptStatements();
    for (let id = 0; id < LIMITS.wireStatementsKept; id += 1) assert.equal(kept.keep(`s${id}`, id), undefined);
    assert.equal(kept.idOf('s0'), 0);
    assert.equal(kept.keep('one more', 1_000), 1);
    assert.equal(kept.keep('s0', 1_001), 0);
  });
});
