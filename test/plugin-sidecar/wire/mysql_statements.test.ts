/**
 * Prepared statements packet by packet: what no driver here sends, and others do. And the wire's limits.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import mysql2 from 'mysql2';
import { systemClock } from '../../../lib/support/clock';
import { codeOf } from '../../../lib/support/errors';
import { LIMITS } from '../../../lib/support/limits';
import { BackendPool } from '../../../plugin-sidecar/lib/wire/mysql/pool';
import { SessionStatements, StatementTexts } from '../../../plugin-sidecar/lib/wire/mysql/prepared';
import { COMMAND, command, statementCommand, STATUS } from '../../../plugin-sidecar/lib/wire/mysql/protocol';
import { ResponseScanner, type Shape } from '../../../plugin-sidecar/lib/wire/mysql/response';
import { Settings } from '../../../plugin-sidecar/lib/wire/mysql/settings';
import { MysqlWire } from '../../../plugin-sidecar/lib/wire/mysql/wire';
import { startMariadb, type Mariadb } from '../../support/servers/mariadb';
import { FakeClock } from '../../support/fake_clock';
import { SILENT, WirePair } from './wire_pair';

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
/** An execution with one parameter, a string. */
const execution = (id: number, value: string | undefined, { cursor = 0, types = 1 } = {}): Buffer =>
  command(COMMAND.execute, Buffer.concat([u32(id), Buffer.of(cursor), u32(1), Buffer.of(0, types), types === 1 ? Buffer.of(0xfd, 0) : Buffer.alloc(0), value === undefined ? Buffer.alloc(0) : Buffer.from([value.length, ...Buffer.from(value)])]));

describe('prepared statements through the wire for MySQL', () => {
  let database: Mariadb;
  let pair: WirePair;
  let socket: Socket;

  before(async () => {
    database = await startMariadb();
  });
  after(() => database.stop());
  beforeEach(async () => {
    pair = await new WirePair(database).listen();
    const connection = await pair.connect();
    socket = (connection as unknown as { connection: { stream: Socket } }).connection.stream;
    socket.removeAllListeners('data');
  });
  afterEach(() => pair.close());

  async function ask(bytes: Buffer, shape: Shape): Promise<{ status: number; failed: boolean; text: string; bytes: Buffer }> {
    const scanner = new ResponseScanner(shape);
    const chunks: Buffer[] = [];
    socket.write(bytes);
    for (;;) {
      const [chunk] = await once(socket, 'data') as [Buffer];
      chunks.push(chunk);
      if (scanner.push(chunk) !== -1) break;
    }
    const all = Buffer.concat(chunks);
    return { status: scanner.outcome.status ?? 0, failed: scanner.outcome.failed, text: all.toString('latin1'), bytes: all };
  }
  const prepared = async (sql: string): Promise<number> => (await ask(command(COMMAND.prepare, sql), 'prepared')).bytes.readUInt32LE(5);

  it('have a cursor on one connection until it is read to its end, or closed', async () => {
    const id = await prepared('SELECT seq, ? AS a FROM seq_1_to_5');
    const opened = await ask(execution(id, 'x', { cursor: 1 }), 'results');
    assert.notEqual(opened.status & STATUS.cursorExists, 0);
    assert.equal(pair.wire.status.pinned, 1);
    const fetch = (): ReturnType<typeof ask> => ask(command(COMMAND.fetch, Buffer.concat([u32(id), u32(3)])), 'rows');
    assert.equal((await fetch()).status & STATUS.lastRowSent, 0);
    await fetch();
    const last = await fetch();
    assert.ok(last.failed || (last.status & STATUS.lastRowSent) !== 0);
    assert.equal(pair.wire.status.pinned, 0);
    await ask(execution(id, 'x', { cursor: 1 }), 'results');
    const twin = await prepared('SELECT seq, ? AS a FROM seq_1_to_5');
    assert.match((await ask(execution(twin, 'y'), 'results')).text, /CARTON_SIDECAR_WIRE_UNSUPPORTED/);
    socket.write(statementCommand(COMMAND.closeStatement, id));
    assert.equal((await ask(execution(twin, 'y'), 'results')).failed, false);
    assert.equal(pair.wire.status.pinned, 0);
  });

  it('take data ahead of their execution, in pieces of any length', async () => {
    const id = await prepared('SELECT LENGTH(?) AS length');
    const piece = (bytes: Buffer): Buffer => command(COMMAND.longData, Buffer.concat([u32(id), Buffer.of(0, 0), bytes]));
    socket.write(piece(Buffer.alloc(10)));
    socket.write(piece(Buffer.alloc(LIMITS.wireCommandBytes * 2)));
    const answer = await ask(execution(id, undefined), 'results');
    assert.equal(answer.failed, false);
    assert.equal(answer.bytes.readUInt32LE(answer.bytes.length - 9 - 4), LIMITS.wireCommandBytes * 2 + 10);
    assert.equal(pair.wire.status.pinned, 0);
    socket.write(piece(Buffer.alloc(10)));
    assert.equal((await ask(statementCommand(COMMAND.resetStatement, id), 'one')).failed, false);
    assert.equal(pair.wire.status.pinned, 0);
  });

  it('say the types of their parameters each time', async () => {
    const id = await prepared('SELECT ? AS a');
    assert.equal((await ask(execution(id, 'x'), 'results')).failed, false);
    assert.match((await ask(execution(id, 'x', { types: 0 }), 'results')).text, /CARTON_SIDECAR_WIRE_UNSUPPORTED.*types/);
  });
});

describe('the limits of the wire for MySQL', () => {
  const backend = { socketPath: '/nonexistent/mysql.sock' };

  it('bound the sessions that wait', async () => {
    const clock = new FakeClock();
    const pool = new BackendPool({ backend, driver: mysql2, clock, log: SILENT, connectionLimit: 0 });
    const claim = { kind: 0, settings: Settings.none };
    const { signal } = new AbortController();
    const waits = Array.from({ length: LIMITS.wireWaiting }, () => pool.wait(claim, new AbortController().signal).then(() => undefined, codeOf));
    assert.equal(await pool.wait(claim, signal).catch(codeOf), 'CARTON_SIDECAR_WIRE_BUSY');
    clock.advance(LIMITS.wireWaitMs);
    assert.deepEqual(new Set(await Promise.all(waits)), new Set(['CARTON_SIDECAR_WIRE_BUSY']));
    assert.equal(clock.pending, 0);
    await pool.close();
  });

  it('bound the connections of function processes', async () => {
    const wire = new MysqlWire({ backend: { ...backend, stream: () => new PassThrough() }, driver: mysql2, clock: systemClock, log: SILENT, connectionLimit: 1, passwordOf: () => undefined });
    const sockets = Array.from({ length: LIMITS.wireConnections }, () => new PassThrough());
    for (const socket of sockets) wire.serve(socket);
    const late = new PassThrough();
    wire.serve(late);
    assert.match(String((await once(late, 'data'))[0]), /CARTON_SIDECAR_WIRE_BUSY/);
    void wire.close();
    for (const socket of sockets) assert.equal(socket.destroyed, true);
  });

  it('bound the statements of a session', () => {
    const texts = new StatementTexts();
    const statements = new SessionStatements(texts);
    for (let index = 0; index < LIMITS.wireStatements; index += 1) statements.add('SELECT 1', 0);
    assert.equal(statements.isFull, true);
    statements.close(1);
    assert.equal(statements.isFull, false);
    statements.clear();
    assert.equal(texts.take('SELECT 1').users, 1);
  });
});
