/**
 * How sessions open: version, token, time and size are checked before anything else is done.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FRAME } from '../../lib/protocol/frame';
import { acceptSession, connectSession, listen, openSession, sameToken, type Authorize } from '../../lib/rpc/handshake';
import type { Session } from '../../lib/rpc/session';
import { LIMITS } from '../../lib/support/limits';
import { frameBytes, helloBytes, HostilePeer } from '../support/hostile_peer';
import { FakeClock } from '../support/fake_clock';
import { Ears, settle, socketPair } from '../support/session_pair';

const TOKEN = 'ab'.repeat(16);
const OTHER = 'cd'.repeat(16);

describe('handshake', () => {
  let directory: string;
  let path: string;
  let servers: Server[] = [];
  let sessions: Session[] = [];
  let ears: Ears[] = [];

  const authorize: Authorize = (token) => (sameToken(token, TOKEN)
    ? { welcome: { slot: 3, epoch: 7 }, handlers: (session) => {
      sessions.push(session);
      ears.push(new Ears());
      return ears.at(-1) as Ears;
    } }
    : undefined);

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ec-hand-'));
    path = join(directory, 's');
    [sessions, ears] = [[], []];
  });

  afterEach(() => {
    for (const session of sessions) session.close();
    for (const server of servers) server.close();
    servers = [];
    rmSync(directory, { recursive: true, force: true });
  });

  const serve = async (): Promise<Server> => {
    const server = await listen(path, authorize);
    servers.push(server);
    return server;
  };

  it('opens with the right token and tells what the acceptor says', async () => {
    await serve();
    let welcome: unknown;
    const session = await connectSession(path, TOKEN, (_session, told) => {
      welcome = told;
      return new Ears();
    });
    assert.deepEqual(welcome, { slot: 3, epoch: 7 });
    session.event(5, Buffer.from('hello'));
    await (ears[0] as Ears).until(() => (ears[0] as Ears).events.length === 1);
    session.close();
  });

  it('makes a socket for this user alone', async () => {
    await serve();
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it('compares tokens of 32 digits only', () => {
    assert.equal(sameToken(TOKEN, TOKEN), true);
    for (const [a, b] of [[TOKEN, OTHER], ['', ''], ['zz', 'zz'], [TOKEN, ''], [TOKEN + 'ab', TOKEN + 'ab']] as const) assert.equal(sameToken(a, b), false);
  });

  it('refuses a wrong token, and rejects with that', async () => {
    await serve();
    await assert.rejects(connectSession(path, OTHER, () => new Ears()), { code: 'CARTON_RPC_UNAUTHORIZED' });
    assert.equal(sessions.length, 0);
  });

  const refused: Record<string, { bytes: Buffer; code: string }> = {
    'another version': { bytes: helloBytes(TOKEN, 2), code: 'CARTON_RPC_VERSION' },
    'another version whose hello is longer': { bytes: helloBytes(TOKEN + TOKEN, 9), code: 'CARTON_RPC_VERSION' },
    'no magic': { bytes: frameBytes(FRAME.hello, 0, 0, Buffer.alloc(22)), code: 'CARTON_RPC_BAD_FRAME' },
    'a short hello': { bytes: frameBytes(FRAME.hello, 0, 0, 'CRTN'), code: 'CARTON_RPC_BAD_FRAME' },
    'a hello without its last byte': { bytes: helloBytes(TOKEN.slice(2)), code: 'CARTON_RPC_BAD_FRAME' },
    'a call before any hello': { bytes: frameBytes(FRAME.call, 1, 1, 'x'), code: 'CARTON_RPC_BAD_FRAME' },
    'an HTTP request that looks like a small frame': { bytes: frameBytes(71, 69, 0x20544547, 'HTTP'), code: 'CARTON_RPC_BAD_FRAME' },
  };
  for (const [what, { bytes, code }] of Object.entries(refused)) {
    it(`refuses ${what}, says so, and closes`, async () => {
      await serve();
      const peer = await HostilePeer.connect(path);
      peer.raw(bytes);
      await peer.closed;
      assert.deepEqual(peer.frames.map(({ type, payload }) => [type, (JSON.parse(payload.toString()) as { code: string }).code]), [[FRAME.refuse, code]]);
    });
  }

  it('takes no second try in the same read: nobody would ever hear of that session\'s end', async () => {
    await serve();
    const peer = await HostilePeer.connect(path);
    peer.raw(Buffer.concat([helloBytes(OTHER), helloBytes(TOKEN), frameBytes(FRAME.event, 5, 0, 'x')]));
    await peer.closed;
    assert.deepEqual([sessions.length, peer.frames.length], [0, 1]);
  });

  it('closes at once on a frame that is too large for a hello', async () => {
    await serve();
    const peer = await HostilePeer.connect(path);
    peer.raw(frameBytes(FRAME.hello, 0, 0, '', 4097));
    await peer.closed;
    assert.deepEqual(peer.frames, []);
  });

  it('lets frames be large once the token was shown', async () => {
    await serve();
    const peer = await HostilePeer.open(path, TOKEN);
    peer.frame(FRAME.event, 5, 0, Buffer.alloc(LIMITS.framePayloadBytes));
    await (ears[0] as Ears).until(() => (ears[0] as Ears).events.length === 1);
    peer.destroy();
    await (ears[0] as Ears).gone;
  });

  for (const [what, bytes] of [['silence', Buffer.alloc(0)], ['half a hello', helloBytes(TOKEN).subarray(0, 20)], ['a byte now and then', Buffer.from([22])]] as const) {
    it(`gives up on ${what} after ${LIMITS.handshakeMs} ms`, async () => {
      const clock = new FakeClock();
      const [near, far] = await socketPair();
      acceptSession(far, authorize, { clock });
      near.on('error', () => undefined);
      near.write(bytes);
      await settle();
      clock.advance(LIMITS.handshakeMs - 1);
      assert.equal(far.destroyed, false);
      clock.advance(1);
      assert.equal(far.destroyed, true);
      near.destroy();
      assert.equal(clock.pending, 0);
    });
  }

  it('rejects when the acceptor says nothing', async () => {
    const clock = new FakeClock();
    const [near, far] = await socketPair();
    const opened = openSession(near, TOKEN, () => new Ears(), { clock });
    clock.advance(LIMITS.handshakeMs);
    await assert.rejects(opened, { code: 'CARTON_RPC_HANDSHAKE_TIMEOUT' });
    far.destroy();
  });

  it('waits for a channel\'s other end as long as it takes where there is no limit', async () => {
    const clock = new FakeClock();
    const [near, far] = await socketPair();
    const opened = openSession(near, TOKEN, () => new Ears(), { clock, limitMs: null });
    clock.advance(10 * LIMITS.handshakeMs);
    acceptSession(far, authorize, { clock, limitMs: null });
    (await opened).close();
  });

  const badWelcomes: Record<string, Buffer> = {
    'no JSON': frameBytes(FRAME.welcome, 0, 0, '{'),
    'a slot that is no count': frameBytes(FRAME.welcome, 0, 0, '{"slot":"x"}'),
    'a negative slot': frameBytes(FRAME.welcome, 0, 0, '{"slot":-1}'),
    'a refusal that is no error': frameBytes(FRAME.refuse, 0, 0, '{"code":{}}'),
    'something else': frameBytes(FRAME.reply, 0, 1, 'x'),
  };
  for (const [what, bytes] of Object.entries(badWelcomes)) {
    it(`rejects a welcome that is ${what}`, async () => {
      const server = createServer((socket) => socket.on('error', () => undefined).write(bytes));
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(path, resolve));
      await assert.rejects(connectSession(path, TOKEN, () => new Ears()), { code: 'CARTON_RPC_BAD_FRAME' });
    });
  }

  it('rejects when nobody listens, or whoever does closes', async () => {
    await assert.rejects(connectSession(path, TOKEN, () => new Ears()), { code: 'ENOENT' });
    const server = createServer((socket) => socket.destroy());
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await assert.rejects(connectSession(path, TOKEN, () => new Ears()), { code: 'CARTON_RPC_CLOSED' });
  });

  it('serves so many connections at once and closes the others', async () => {
    const server = await serve();
    server.maxConnections = 2;
    const peers = [await HostilePeer.open(path, TOKEN), await HostilePeer.open(path, TOKEN)];
    const third = await HostilePeer.connect(path);
    await third.closed;
    peers[0]?.destroy();
    await (ears[0] as Ears).gone;
    const again = await HostilePeer.open(path, TOKEN);
    assert.equal(again.of(FRAME.welcome).length, 1);
    for (const peer of [...peers, again]) peer.destroy();
  });
});
