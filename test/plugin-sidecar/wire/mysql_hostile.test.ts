/**
 * Peers of the wire that do not behave: they learn it or are cut off, and nobody else notices.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Connection } from 'mysql2/promise';
import { LIMITS } from '../../../lib/support/limits';
import { startMariadb, type Mariadb } from '../../support/servers/mariadb';
import { eventually } from '../../support/eventually';
import { FakeClock } from '../../support/fake_clock';
import { USER, value, WirePair } from './wire_pair';

/** A header and a payload. */
const packet = (sequence: number, payload: Buffer, length = payload.length): Buffer => Buffer.concat([Buffer.of(length & 0xff, (length >> 8) & 0xff, length >> 16, sequence), payload]);

describe('the wire for MySQL under hostile peers', () => {
  let database: Mariadb;
  let pair: WirePair;
  let witness: Connection;

  before(async () => {
    database = await startMariadb();
  });
  after(() => database.stop());
  beforeEach(async () => {
    pair = await new WirePair(database, { connectionLimit: 2 }).listen();
    witness = await pair.connect();
  });
  afterEach(async () => {
    assert.equal(await value(witness, 'SELECT 5'), 5);
    await pair.close();
  });

  /** The bare socket of a session that has been let in. */
  async function entered(): Promise<Socket> {
    const connection = await pair.connect();
    const { stream } = (connection as unknown as { connection: { stream: Socket } }).connection;
    stream.removeAllListeners('data');
    return stream;
  }

  async function answerTo(socket: Socket, bytes: Buffer): Promise<string> {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const closed = once(socket, 'close');
    socket.write(bytes);
    await closed;
    return Buffer.concat(chunks).toString('latin1');
  }

  const BEFORE_LOGIN: Record<string, Buffer> = {
    'bytes that are no packet': Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    'a packet that is announced too long': packet(1, Buffer.from('x'), 0xffffff),
    'a packet with a wrong number': packet(7, Buffer.alloc(40)),
    'a response that is cut off': packet(1, Buffer.alloc(10)),
    'a response whose lengths point beyond it': packet(1, Buffer.concat([Buffer.of(0, 0xa2, 0x28, 0), Buffer.alloc(28), Buffer.from(`${USER}\0`), Buffer.of(0xfe, 255, 255, 255, 255, 255, 255, 255, 255)])),
  };
  for (const [what, bytes] of Object.entries(BEFORE_LOGIN)) {
    it(`ends a connection that begins with ${what}`, async () => {
      assert.match(await answerTo(await pair.socket(), bytes), /CARTON_SIDECAR_WIRE_PROTOCOL/);
      assert.equal(pair.wire.status.frontends, 1);
    });
  }

  const AFTER_LOGIN: Record<string, Buffer> = {
    'an empty packet': packet(0, Buffer.alloc(0)),
    'a packet with a wrong number': packet(3, Buffer.from('\x03SELECT 1')),
    'a long command whose second packet has a wrong number': Buffer.concat([packet(0, Buffer.concat([Buffer.from('\x03SELECT \''), Buffer.alloc(0xffffff - 9, 'x')])), packet(9, Buffer.from('\''))]),
  };
  for (const [what, bytes] of Object.entries(AFTER_LOGIN)) {
    it(`ends a session that sends ${what}`, async () => {
      const answer = await answerTo(await entered(), bytes);
      if (!what.includes('second')) assert.match(answer, /CARTON_SIDECAR_WIRE_PROTOCOL/);
      await eventually('it is gone', () => pair.wire.status.frontends === 1);
    });
  }

  it('refuses commands that it does not know, and numbers of statements that nobody has', async () => {
    const socket = await entered();
    const answers: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => answers.push(chunk));
    for (const payload of [Buffer.of(0x12), Buffer.of(0xfe), Buffer.of(0x17, 9, 0, 0, 0, 0, 1, 0, 0, 0), Buffer.of(0x17), Buffer.of(0x1c, 9, 0, 0, 0, 1, 0, 0, 0), Buffer.of(0x1a, 9, 0, 0, 0)]) socket.write(packet(0, payload));
    await eventually('six errors', () => [...Buffer.concat(answers).toString('latin1').matchAll(/CARTON_SIDECAR_WIRE_(?:UNSUPPORTED|PROTOCOL)/g)].length === 6);
    socket.write(Buffer.concat([packet(0, Buffer.of(0x19, 9, 0, 0, 0)), packet(0, Buffer.of(0x18, 9, 0, 0, 0, 0, 0)), packet(0, Buffer.of(0x0e))]));
    await eventually('the ping is answered', () => Buffer.concat(answers).subarray(-11).equals(packet(1, Buffer.of(0, 0, 0, 2, 0, 0, 0))));
    socket.destroy();
  });

  it('takes commands byte by byte, and many at once', async () => {
    const socket = await entered();
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    for (const byte of packet(0, Buffer.from('\x03SELECT \'slow\''))) {
      socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.write(Buffer.concat(Array.from({ length: 1000 }, (_, index) => packet(0, Buffer.from(`\x03SELECT 'many${index}'`)))));
    const text = (): string => Buffer.concat(chunks).toString('latin1');
    await eventually('all are answered', () => text().includes('many999') && text().lastIndexOf('many999') > text().indexOf('slow'));
    assert.equal(new Set(Array.from(text().matchAll(/many\d+/g), ([found]) => found)).size, 1000);
    socket.destroy();
  });

  it('stops reading from a session that sends and does not read', async () => {
    const socket = await entered();
    socket.pause();
    socket.write(Buffer.concat(Array.from({ length: 4_000_000 }, () => packet(0, Buffer.of(0x0e)))));
    for (let turn = 0; turn < 50; turn += 1) assert.equal(await value(witness, 'SELECT 6'), 6);
    assert.ok(socket.writableLength > 0);
    socket.destroy();
  });

  it('gives the connection of a session that ends within a command to others', async () => {
    const sockets = await Promise.all([entered(), entered(), entered()]);
    for (const socket of sockets) socket.write(packet(0, Buffer.concat([Buffer.from('\x03SELECT \''), Buffer.alloc(2_000_000, 'x')]), 5_000_000));
    await eventually('they have the connections', () => pair.wire.status.waiting > 0);
    for (const socket of sockets) socket.destroy();
    await eventually('they are gone', () => pair.wire.status.frontends === 1 && pair.wire.status.waiting === 0);
  });

  it('says that it is busy to whoever waited for the limit', async () => {
    const clock = new FakeClock();
    const small = await new WirePair(database, { connectionLimit: 1, clock }).listen();
    const [one, two] = [await small.connect(), await small.connect()];
    await one.beginTransaction();
    const late = value(two, 'SELECT 1');
    late.catch(() => undefined);
    await eventually('it waits', () => small.wire.status.waiting === 1);
    clock.advance(LIMITS.wireWaitMs);
    await assert.rejects(late, /CARTON_SIDECAR_WIRE_BUSY/);
    await one.commit();
    assert.equal(await value(two, 'SELECT 1'), 1);
    const silent = await small.socket();
    const closed = once(silent.resume(), 'close');
    clock.advance(LIMITS.wireConnectMs + LIMITS.handshakeMs);
    await closed;
    await small.close();
  });
});
