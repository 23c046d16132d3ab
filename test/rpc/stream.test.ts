/**
 * Streams with credit: a sender never passes its window, and whoever waits for room is never left waiting.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CartonError, toWire, type WireError } from '../../lib/support/errors';
import { LIMITS } from '../../lib/support/limits';
import { StreamReceiver, StreamSender, type StreamChannel } from '../../lib/rpc/stream';

const WINDOW = LIMITS.streamWindowBytes;
const BAD = { code: 'CARTON_RPC_BAD_FRAME' };

class Channel implements StreamChannel {
  readonly chunks: Buffer[] = [];
  readonly credits: number[] = [];
  ended: { error: WireError | undefined } | undefined;

  get bytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  sendData(_id: number, chunk: Buffer): void {
    this.chunks.push(chunk);
  }

  sendEnd(_id: number, error: WireError | undefined): void {
    this.ended = { error };
  }

  sendCredit(_id: number, bytes: number): void {
    this.credits.push(bytes);
  }
}

function pair(): { channel: Channel; sender: StreamSender; receiver: StreamReceiver } {
  const channel = new Channel();
  return { channel, sender: new StreamSender(channel, 1), receiver: new StreamReceiver(channel, 1) };
}

describe('stream', () => {
  it('never has more than a window under way, whatever is written and however slowly it is read', () => {
    const step = fc.oneof(
      fc.record({ write: fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 3 * WINDOW })) }),
      fc.record({ read: fc.integer({ min: 1, max: WINDOW }) }),
    );
    fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { channel, sender, receiver } = pair();
      const written: Buffer[] = [];
      let [read, granted, accepted] = [0, 0, 0];
      const deliver = (): void => {
        for (; accepted < channel.chunks.length; accepted += 1) receiver.accept((channel.chunks[accepted] as Buffer).length);
        for (; granted < channel.credits.length; granted += 1) sender.credit(channel.credits[granted] as number);
      };
      for (const made of steps) {
        if ('write' in made) {
          const chunk = Buffer.alloc(made.write, written.length);
          written.push(chunk);
          assert.equal(sender.write(chunk), channel.bytes === written.reduce((sum, { length }) => sum + length, 0));
        } else {
          const bytes = Math.min(made.read, channel.bytes - read);
          read += bytes;
          receiver.consumed(bytes);
        }
        deliver();
        assert.ok(channel.bytes - read <= WINDOW, 'more than a window is under way');
      }
      sender.end();
      while (channel.ended === undefined) {
        receiver.consumed(channel.bytes - read);
        read = channel.bytes;
        deliver();
      }
      assert.deepEqual(Buffer.concat(channel.chunks), Buffer.concat(written));
      assert.ok(channel.chunks.every(({ length }) => length > 0 && length <= LIMITS.streamChunkBytes));
    }), { numRuns: 150 });
  });

  it('asks the writer to wait when the window is full, and calls it back', () => {
    const { channel, sender } = pair();
    let drained = 0;
    sender.onDrain = () => (drained += 1);
    assert.equal(sender.write(Buffer.alloc(WINDOW)), true);
    assert.equal(sender.write(Buffer.alloc(1)), false);
    assert.equal(channel.bytes, WINDOW);
    sender.credit(WINDOW / 2);
    assert.equal(drained, 1);
    assert.equal(channel.bytes, WINDOW + 1);
  });

  it('sends what was queued before its end', () => {
    const { channel, sender } = pair();
    sender.write(Buffer.alloc(WINDOW + 10));
    sender.end();
    assert.equal(channel.ended, undefined);
    assert.equal(sender.isClosed, true);
    sender.credit(WINDOW / 2);
    assert.deepEqual([channel.bytes, channel.ended], [WINDOW + 10, { error: undefined }]);
  });

  it('sends its end once, although credit for its last bytes comes after it', () => {
    const { channel, sender } = pair();
    sender.write(Buffer.alloc(WINDOW));
    sender.end();
    channel.ended = undefined;
    sender.credit(WINDOW / 2);
    assert.equal(channel.ended, undefined);
  });

  it('drops what was queued when it ends with an error, and takes nothing more', () => {
    const { channel, sender } = pair();
    sender.write(Buffer.alloc(WINDOW + 10));
    const error = toWire(new CartonError('CARTON_INGRESS_BODY_ABORTED'));
    sender.end(error);
    assert.equal(sender.write(Buffer.alloc(5)), true);
    sender.end();
    assert.deepEqual([channel.bytes, channel.ended], [WINDOW, { error }]);
  });

  it('wakes a waiting writer when it is ended or closed by somebody else', () => {
    for (const stop of [(sender: StreamSender) => sender.end(toWire(new CartonError('CARTON_RUNTIME_TIMEOUT'))), (sender: StreamSender) => sender.close()]) {
      const { sender } = pair();
      assert.equal(sender.write(Buffer.alloc(WINDOW + 1)), false);
      let woken = false;
      sender.onDrain = () => (woken = true);
      stop(sender);
      assert.deepEqual([woken, sender.isClosed], [true, true]);
    }
  });

  it('sends nothing after it was closed', () => {
    const { channel, sender } = pair();
    sender.close();
    sender.write(Buffer.alloc(10));
    sender.end();
    assert.deepEqual([channel.bytes, channel.ended], [0, undefined]);
  });

  it('refuses credit beyond its window: all at once, bit by bit, and none at all', () => {
    assert.throws(() => pair().sender.credit(1), BAD);
    assert.throws(() => pair().sender.credit(0), BAD);
    assert.throws(() => pair().sender.credit(0xffffffff), BAD);
    const { sender } = pair();
    sender.write(Buffer.alloc(1000));
    for (let grant = 0; grant < 1000; grant += 1) sender.credit(1);
    assert.throws(() => sender.credit(1), BAD);
  });

  it('refuses data beyond what it granted, and data of no bytes', () => {
    const { receiver } = pair();
    receiver.accept(WINDOW);
    assert.throws(() => receiver.accept(1), { code: 'CARTON_RPC_CREDIT_EXCEEDED' });
    assert.throws(() => pair().receiver.accept(0), BAD);
  });

  it('grants by halves of a window', () => {
    const { channel, receiver } = pair();
    receiver.accept(WINDOW);
    receiver.consumed(WINDOW / 2 - 1);
    assert.deepEqual(channel.credits, []);
    receiver.consumed(1);
    assert.deepEqual(channel.credits, [WINDOW / 2]);
  });
});
