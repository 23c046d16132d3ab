/**
 * What a text of SQL leaves behind in its connection (plugin-sidecar/lib/clients/sql_effect.ts).
 */
import assert from 'node:assert/strict';
import { effectOf, type Effect } from '../../../plugin-sidecar/lib/clients/sql_effect';

const TEXTS: Readonly<Record<Effect, readonly string[]>> = {
  none: [
    'SELECT 1', ' select * from t where a = 1 ;', '(SELECT 1) UNION (SELECT 2)', 'INSERT INTO t VALUES (1)', 'WITH x AS (SELECT 1) SELECT * FROM x',
    "UPDATE t SET email = 'a@b.c'", 'UPDATE t SET email = "a@b.c; SET x"', "INSERT INTO t VALUES ('it''s @', 'a\\'@', '\\\\')", "SELECT 'GET_LOCK(1)', is_lock FROM t",
    '/* trace @ */ SELECT 1', "SELECT 1 -- it's @\n FROM t", 'SELECT 1 # @', 'SELECT @@version', 'SELECT * FROM t FOR UPDATE', 'CREATE TABLE t (temporary INT)', 'SELECT 1; SELECT 2;', "SELECT '--', 'x;y'",
  ],
  transaction: ['BEGIN', 'start transaction', 'COMMIT', 'ROLLBACK', 'SAVEPOINT x', 'RELEASE SAVEPOINT x', 'BEGIN; SELECT 1', "INSERT INTO t VALUES ('@'); COMMIT"],
  state: [
    'SET @x = 1', 'SET NAMES utf8', 'SET autocommit = 0', 'SELECT @x := 1', 'SELECT 1 INTO @x', "SELECT GET_LOCK('x', 1)", "SELECT `get_lock`('x', 1)", 'LOCK TABLES t WRITE', 'UNLOCK TABLES', 'USE other',
    'CREATE TEMPORARY TABLE t (a INT)', 'create or replace temporary table t (a INT)', "PREPARE s FROM 'SELECT 1'", 'EXECUTE s', 'CALL p()', 'DO 1', 'FLUSH TABLES WITH READ LOCK', 'HANDLER t OPEN', 'XA START "x"',
    'SELECT 1; SET @x = 1', 'SELECT 1;SET NAMES utf8', "SELECT '\\\\'; USE x", '/*!40101 SET NAMES utf8 */', 'SELECT 1 /*!, 2 */', '/*M! SET x = 1 */', "-- it's\nSET x = 1", '# x\nUSE y', '', "SELECT 'open; x', @y", 'BEGIN; SET @x = 1',
    '/* a */ /* b */ SET x = 1', "SELECT 'a' 'b'@x", 'SELECT "\\"", @x',
  ],
};

describe('the effect of a text of SQL', () => {
  for (const [effect, texts] of Object.entries(TEXTS)) {
    for (const text of texts) it(`${effect}: ${JSON.stringify(text)}`, () => assert.equal(effectOf(text), effect));
  }

  it('is found behind a string of megabytes', () => {
    const long = "x@'';".repeat(2 << 20);
    assert.deepEqual([effectOf(`INSERT INTO t VALUES ('${long}')`), effectOf(`INSERT INTO t VALUES ('${long}'); USE x`)], ['none', 'state']);
  });
});
