/**
 * Sessions: the guarantees of `lib/rpc/session.ts`, in both directions, over real sockets.
 */
import assert from 'node:assert/strict';
import { FRAME, NACK, STREAM_FOLLOWS } from '../../lib/protocol/frame';
import type { IncomingCall } from '../../lib/rpc/incoming_call';
import type { OutgoingCall, Session } from '../../lib/rpc/session';
import { CartonError, toWire } from '../../lib/support/errors';
import { LIMITS } from '../../lib/support/limits';
import { frameBytes, u32 } from '../support/hostile_peer';
import { Ears, sessionPair, settle, Sink, type Pair, type PairOptions } from '../support/session_pair';

const METHOD = 9;
const WIRE = toWire(new CartonError('CARTON_RUNTIME_TIMEOUT'));

function call(session: Session, sink: Sink, payload = 'x', bodyFollows = false): OutgoingCall {
  const made = session.open(sink, bodyFollows);
  session.send(FRAME.call, METHOD | (bodyFollows ? STREAM_FOLLOWS : 0), made.id, Buffer.from(payload));
  return made;
}

describe('session', () => {
  let open: Pair[] = [];
  const pairOf = async (options?: PairOptions): Promise<Pair> => {
    const pair = await sessionPair(options);
    open.push(pair);
    return pair;
  };
  afterEach(() => {
    for (const pair of open) pair.close();
    open = [];
  });

  describe('guarantee 1: every outgoing call ends exactly once', () => {
    const endings: Record<string, { serve: (call: IncomingCall) => void; types: string[] }> = {
      'by a reply': { serve: (made) => made.reply(Buffer.from('r')), types: ['reply'] },
      'by text': { serve: (made) => made.replyText('r'), types: ['reply'] },
      'by a failure': { serve: (made) => made.fail(WIRE), types: ['fail'] },
      'by a refusal': { serve: (made) => made.nack(NACK.busy), types: ['nack'] },
      'by the end of its stream': { serve: (made) => made.openStream(Buffer.from('r')).end(), types: ['reply', 'end'] },
      'by its stream\'s error': { serve: (made) => made.openStream().end(WIRE), types: ['reply', 'end'] },
      'by the end of the session': { serve: (made) => made.session.close(), types: ['closed'] },
      'in the middle of its stream': { serve: (made) => { made.openStream(); made.session.close(); }, types: ['reply', 'closed'] },
    };
    for (const [how, { serve, types }] of Object.entries(endings)) {
      for (const side of ['left', 'right'] as const) {
        it(`${how}, called from the ${side}, and nothing is kept of it`, async () => {
          const other = side === 'left' ? 'right' : 'left';
          const again = (made: IncomingCall): void => {
            serve(made);
            // What comes after the end must change nothing.
            made.reply(Buffer.from('again'));
            made.fail(WIRE);
            made.nack(NACK.busy);
          };
          const pair = await pairOf({ [other]: new Ears(how.includes('stream') ? serve : again) });
          const sink = new Sink();
          call(pair[side], sink);
          await sink.ended;
          await settle();
          assert.deepEqual(sink.heard.map(({ type }) => type), types);
          assert.deepEqual([pair[side].openCalls, pair[other].servedCalls], [0, 0]);
        });
      }
    }

    it('also when the peer\'s process dies', async () => {
      const pair = await pairOf();
      const sink = new Sink();
      call(pair.left, sink);
      await settle();
      pair.rightSocket.destroy();
      assert.deepEqual(await sink.ended, [{ type: 'closed' }]);
    });

    it('when the call is taken back, its sink hears nothing and the peer is told', async () => {
      const ears = new Ears();
      let cancelled = 0;
      const pair = await pairOf({ right: ears });
      const sink = new Sink();
      const made = call(pair.left, sink);
      await ears.until(() => ears.calls.length === 1);
      const served = ears.calls[0] as IncomingCall;
      served.listener = { onCancelled: () => (cancelled += 1) };
      made.cancel();
      made.cancel();
      await settle();
      served.reply(Buffer.from('late'));
      await settle();
      assert.deepEqual([sink.heard, cancelled, pair.left.openCalls, pair.right.servedCalls], [[], 1, 0, 0]);
    });

    it('a request rejects with the peer\'s error, or with CARTON_RPC_CLOSED', async () => {
      const pair = await pairOf({ right: new Ears((made) => (made.payload.length === 0 ? made.session.close() : made.fail(WIRE))) });
      await assert.rejects(pair.left.request(METHOD, Buffer.from('x')), { code: 'CARTON_RUNTIME_TIMEOUT' });
      await assert.rejects(pair.left.request(METHOD, Buffer.alloc(0)), { code: 'CARTON_RPC_CLOSED' });
      await assert.rejects(pair.left.request(METHOD, Buffer.alloc(0)), { code: 'CARTON_RPC_CLOSED' });
    });
  });

  it('guarantee 2: calls arrive in the order in which they were made', async () => {
    const ears = new Ears((made) => made.reply());
    const pair = await pairOf({ right: ears });
    const sinks = Array.from({ length: 500 }, (_, index) => {
      const sink = new Sink();
      call(pair.left, sink, String(index).padEnd(index % 7 === 0 ? 20_000 : 3));
      return sink;
    });
    await Promise.all(sinks.map((sink) => sink.ended));
    assert.deepEqual(ears.calls.map(({ payload }) => Number(payload.toString())), sinks.map((_, index) => index));
  });

  it('guarantee 3: what comes for a call that has ended is dropped in silence', async () => {
    const pair = await pairOf({ right: new Ears((made) => made.reply()) });
    const sink = new Sink();
    const { id } = call(pair.left, sink);
    await sink.ended;
    for (const [type, payload] of [[FRAME.reply, ''], [FRAME.fail, JSON.stringify(WIRE)], [FRAME.data, 'x'], [FRAME.end, ''], [FRAME.credit, u32(1)]] as const) {
      pair.rightSocket.write(frameBytes(type, 0, id, payload));
    }
    pair.rightSocket.write(frameBytes(FRAME.nack, NACK.busy, id));
    pair.leftSocket.write(Buffer.concat([frameBytes(FRAME.cancel, 0, id), frameBytes(FRAME.data, 0, id, 'x'), frameBytes(FRAME.end, 0, id)]));
    await settle();
    assert.deepEqual([sink.heard.length, pair.left.isClosed, pair.right.isClosed], [1, false, false]);
    assert.equal((await pair.left.request(METHOD, Buffer.alloc(0))).length, 0);
  });

  describe('guarantee 4: a peer that breaks a limit or the protocol loses its session', () => {
    const call1 = frameBytes(FRAME.call, METHOD, 1, 'x');
    const withBody = frameBytes(FRAME.call, METHOD | STREAM_FOLLOWS, 1, 'x');
    const toServer: Record<string, Buffer[]> = {
      'an unknown type': [frameBytes(99, 0, 1)],
      'type 0': [frameBytes(0, 0, 0)],
      'a second hello': [frameBytes(FRAME.hello, 0, 0, 'CRTN')],
      'a call id of the other side': [frameBytes(FRAME.call, METHOD, 2)],
      'a call with id 0': [frameBytes(FRAME.call, METHOD, 0)],
      'an id that is in use': [call1, call1],
      'data for a call without a body': [call1, frameBytes(FRAME.data, 0, 1, 'x')],
      'data of no bytes': [withBody, frameBytes(FRAME.data, 0, 1)],
      'data beyond the window': [withBody, ...Array.from({ length: 5 }, () => frameBytes(FRAME.data, 0, 1, Buffer.alloc(64 * 1024)))],
      'data after its end': [withBody, frameBytes(FRAME.end, 0, 1), frameBytes(FRAME.data, 0, 1, 'x')],
      'two ends of a body': [withBody, frameBytes(FRAME.end, 0, 1), frameBytes(FRAME.end, 0, 1)],
      'an end whose error is no JSON': [withBody, frameBytes(FRAME.end, 1, 1, '{')],
      'an end whose error is null': [withBody, frameBytes(FRAME.end, 1, 1, 'null')],
      'credit of 3 bytes': [frameBytes(FRAME.credit, 0, 1, 'abc')],
      'a frame over the limit': [frameBytes(FRAME.event, 1, 0, '', LIMITS.framePayloadBytes + 1)],
    };
    for (const [what, frames] of Object.entries(toServer)) {
      it(what, async () => {
        const ears = new Ears();
        const pair = await pairOf({ right: ears });
        for (const frame of frames) pair.leftSocket.write(frame);
        await ears.gone;
        assert.match(String(ears.closed?.error?.code), /^CARTON_RPC_(BAD_FRAME|FRAME_TOO_LARGE|CREDIT_EXCEEDED)$/);
        assert.equal(pair.right.servedCalls, 0);
      });
    }

    const reply = frameBytes(FRAME.reply, STREAM_FOLLOWS, 1);
    const toCaller: Record<string, Buffer[]> = {
      'data before a reply': [frameBytes(FRAME.data, 0, 1, 'x')],
      'an end before a reply': [frameBytes(FRAME.end, 0, 1)],
      'a second reply, for another window': [reply, reply],
      'a reply after a stream began': [reply, frameBytes(FRAME.reply, 0, 1)],
      'a failure after a stream began': [reply, frameBytes(FRAME.fail, 0, 1, JSON.stringify(WIRE))],
      'a refusal after a stream began': [reply, frameBytes(FRAME.nack, NACK.busy, 1)],
      'an unknown reason of a refusal': [frameBytes(FRAME.nack, 77, 1)],
      'a failure with a status that is none': [frameBytes(FRAME.fail, 0, 1, JSON.stringify({ ...WIRE, status: 9999 }))],
      'a failure without a message': [frameBytes(FRAME.fail, 0, 1, '{"code":"CARTON_RUNTIME_BUSY","status":503}')],
      'credit beyond the window': [frameBytes(FRAME.credit, 0, 1, u32(1))],
      'credit for ever': Array.from({ length: 3 }, () => frameBytes(FRAME.credit, 0, 1, u32(0xffffffff))),
    };
    for (const [what, frames] of Object.entries(toCaller)) {
      it(`${what}, towards the caller`, async () => {
        const ears = new Ears();
        const pair = await pairOf({ left: ears });
        const sink = new Sink();
        call(pair.left, sink, 'x', what.startsWith('credit'));
        for (const frame of frames) pair.rightSocket.write(frame);
        await ears.gone;
        assert.equal(ears.closed?.error?.code, 'CARTON_RPC_BAD_FRAME');
        assert.deepEqual(sink.heard.at(-1), { type: 'closed' });
        assert.equal(pair.left.openCalls, 0);
      });
    }

    it('calls and events where nobody takes them', async () => {
      for (const frame of [frameBytes(FRAME.call, METHOD, 1), frameBytes(FRAME.event, METHOD, 0)]) {
        let error: CartonError | undefined;
        const closed = new Promise<void>((resolve) => {
          void pairOf({ right: { onClosed: (why) => { error = why; resolve(); } } }).then((pair) => pair.leftSocket.write(frame));
        });
        await closed;
        assert.equal(error?.code, 'CARTON_RPC_BAD_FRAME');
      }
    });

    it('more open calls than may be, of either side', async () => {
      const ears = new Ears();
      const pair = await pairOf({ right: ears });
      const flood = Buffer.concat(Array.from({ length: LIMITS.openCallsPerSession + 1 }, (_, index) => frameBytes(FRAME.call, METHOD, 2 * index + 1)));
      pair.leftSocket.write(flood);
      await ears.gone;
      assert.equal(ears.closed?.error?.code, 'CARTON_RPC_TOO_MANY_CALLS');
      const caller = await pairOf();
      for (let made = 0; made < LIMITS.openCallsPerSession; made += 1) caller.left.open(new Sink(), false);
      assert.throws(() => caller.left.open(new Sink(), false), { code: 'CARTON_RPC_TOO_MANY_CALLS' });
    });

    it('frames behind the one that closed the session are not looked at', async () => {
      const ears = new Ears((made) => made.session.close());
      const pair = await pairOf({ right: ears });
      pair.leftSocket.write(Buffer.concat([frameBytes(FRAME.call, METHOD, 1), frameBytes(FRAME.call, METHOD, 3), frameBytes(99, 0, 0)]));
      await ears.gone;
      await settle();
      assert.deepEqual([ears.calls.length, ears.closed], [1, { error: undefined }]);
    });
  });

  it('guarantee 5: frames of one turn leave in one system call', async () => {
    const pair = await pairOf();
    let writes = 0;
    const write = pair.leftSocket.write.bind(pair.leftSocket) as (chunk: Buffer) => boolean;
    pair.leftSocket.write = ((chunk: Buffer) => { writes += 1; return write(chunk); });
    for (let event = 0; event < 300; event += 1) pair.left.event(METHOD, Buffer.alloc(50));
    assert.equal(writes, 0);
    await settle(2);
    assert.equal(writes, 1);
  });

  it('carries bodies and streams at once, both ways, slower than they are written', async () => {
    const size = 3 * LIMITS.streamWindowBytes + 17;
    const echo = new Ears((made) => {
      const stream = made.openStream();
      const body: Buffer[] = [];
      made.listener = {
        onBody: (chunk) => { body.push(chunk); made.received?.consumed(chunk.length); },
        onBodyEnd: () => { stream.write(Buffer.concat(body)); stream.end(); },
        onCancelled: () => undefined,
      };
    });
    const pair = await pairOf({ left: echo, right: echo });
    const all = (['left', 'right'] as const).flatMap((side) => Array.from({ length: 4 }, async (_, index) => {
      const sink = new Sink();
      const made = call(pair[side], sink, 'x', true);
      sink.onChunk = (chunk) => setImmediate(() => made.received?.consumed(chunk.length));
      const body = Buffer.alloc(size, index + 1);
      made.body?.write(body);
      made.body?.end();
      const heard = await sink.ended;
      assert.deepEqual(heard.at(-1), { type: 'end', error: undefined }, String(echo.closed?.error));
      assert.ok(Buffer.concat(sink.chunks).equals(body));
    }));
    await Promise.all(all);
    await settle();
    assert.deepEqual([pair.left.openCalls, pair.left.servedCalls, pair.right.openCalls, pair.right.servedCalls], [0, 0, 0, 0]);
  });

  it('wraps its ids at 2^32, passing over those that are in use', async () => {
    const ears = new Ears((made) => { if (made.payload.toString() !== 'long') made.reply(); });
    const pair = await pairOf({ right: ears, firstCallId: 0xfffffffb });
    const long = call(pair.left, new Sink(), 'long');
    const ids: number[] = [];
    for (let made = 0; made < 4; made += 1) {
      const sink = new Sink();
      ids.push(call(pair.left, sink).id);
      await sink.ended;
    }
    assert.deepEqual([long.id, ids], [0xfffffffb, [0xfffffffd, 0xffffffff, 1, 3]]);
    const next = await pairOf({ firstCallId: 0xffffffff });
    assert.deepEqual([next.left.open(new Sink(), false).id, next.left.open(new Sink(), false).id], [0xffffffff, 1]);
    const even = await pairOf({ firstCallId: 0xfffffffe });
    const first = even.left.open(new Sink(), false);
    assert.deepEqual([first.id, even.left.open(new Sink(), false).id], [0xfffffffe, 2], '0 is nobody\'s');
  });

  it('stops reading from a peer that does not read, goes on when it does, and keeps memory bounded', async () => {
    const ears = new Ears((made) => made.reply(Buffer.alloc(60_000)));
    const pair = await pairOf({ right: ears });
    pair.leftSocket.pause();
    const flood = Buffer.concat(Array.from({ length: 2000 }, (_, index) => frameBytes(FRAME.call, METHOD, 2 * index + 1, Buffer.alloc(4000))));
    pair.leftSocket.write(flood);
    await settle(400);
    const served = ears.calls.length;
    assert.ok(served < 2000, `all calls were taken although nobody reads the replies: ${served}`);
    assert.ok(pair.right.backlogBytes < 20e6, `${pair.right.backlogBytes} bytes wait`);
    pair.leftSocket.resume();
    await ears.until(() => ears.calls.length === 2000);
    assert.equal(pair.right.isClosed, false);
  });

  it('ends a session for which more waits than may', async () => {
    const ears = new Ears();
    const pair = await pairOf({ left: ears });
    pair.rightSocket.pause();
    const block = Buffer.alloc(LIMITS.framePayloadBytes);
    for (let sent = 0; sent <= LIMITS.sessionBacklogBytes / LIMITS.framePayloadBytes + 1; sent += 1) pair.left.event(METHOD, block);
    await ears.gone;
    assert.equal(ears.closed?.error?.code, 'CARTON_RPC_PEER_STALLED');
  });

  it('is rid of its socket soon, even if the peer never reads what was written', async () => {
    const pair = await pairOf();
    pair.rightSocket.pause();
    pair.left.event(METHOD, Buffer.alloc(800_000));
    pair.left.event(METHOD, Buffer.alloc(800_000));
    pair.left.close();
    await settle();
    assert.equal(pair.leftSocket.destroyed, false);
    pair.clock.advance(LIMITS.lingerMs);
    assert.equal(pair.leftSocket.destroyed, true);
    pair.rightSocket.destroy();
    await settle();
    assert.equal(pair.clock.pending, 0);
  });

  it('sends what was written before it was closed', async () => {
    const ears = new Ears();
    const pair = await pairOf({ right: ears });
    pair.left.event(METHOD, Buffer.from('last words'));
    pair.left.close();
    await ears.gone;
    assert.deepEqual(ears.events, [{ method: METHOD, payload: 'last words' }]);
  });

  it('writes nothing after its end', async () => {
    const pair = await pairOf();
    pair.left.close();
    pair.left.event(METHOD, Buffer.from('x'));
    pair.left.sendCredit(1, 5);
    pair.left.flush();
    await settle();
    assert.throws(() => pair.left.open(new Sink(), false), { code: 'CARTON_RPC_CLOSED' });
  });
});
