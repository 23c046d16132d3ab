/**
 * Guarantees of lib/rpc/remote.ts, over real sockets.
 */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { collectGarbage } from '../../lib/fork/inside/garbage';
import { METHOD } from '../../lib/protocol/control';
import { FRAME } from '../../lib/protocol/frame';
import { encodeCall } from '../../lib/protocol/remote';
import { encodeValue } from '../../lib/protocol/value';
import { Remote, RemoteObject } from '../../lib/rpc/remote';
import { Held, type ServedCall, type Target } from '../../lib/rpc/remote_objects';
import { CartonError, codeOf } from '../../lib/support/errors';
import { LIMITS } from '../../lib/support/limits';
import { eventually } from '../support/eventually';
import { sessionPair, type Pair } from '../support/session_pair';

type Methods = Record<string, (args: readonly unknown[], call: ServedCall) => unknown>;

/** Two processes' sides in one: `near` calls, `far` offers `tea`, whose methods a test gives. */
class Both {
  readonly near: Remote;
  readonly far: Remote;
  readonly closed: (CartonError | undefined)[] = [];

  constructor(readonly pair: Pair, methods: Methods) {
    const onClosed = (error: CartonError | undefined): void => void this.closed.push(error);
    const target: Target = {
      invoke(method, args, call) {
        const found = Object.hasOwn(methods, method) ? methods[method] : undefined;
        if (found === undefined) throw new CartonError('CARTON_RPC_NO_METHOD', { got: method });
        return found(args, call);
      },
    };
    this.near = new Remote(pair.left, { clock: pair.clock, onClosed });
    this.far = new Remote(pair.right, { clock: pair.clock, onClosed, offers: (name) => (name === 'tea' ? target : undefined) });
    pair.left.handlers = this.near.handlers;
    pair.right.handlers = this.far.handlers;
  }

  call(method: string, ...args: unknown[]): Promise<unknown> {
    return this.near.call('tea', method, args);
  }

  /** Of calls and objects, at both sides. */
  get left(): number[] {
    return [this.near, this.far].flatMap(({ held, session }) => [held.size, session.openCalls, session.servedCalls]);
  }
}

const NOTHING = [0, 0, 0, 0, 0, 0];

describe('remote calls', () => {
  const open: Pair[] = [];
  afterEach(() => {
    for (const pair of open.splice(0)) pair.close();
  });
  async function both(methods: Methods = {}): Promise<Both> {
    const made = new Both(await sessionPair(), methods);
    open.push(made.pair);
    return made;
  }
  const nothingLeft = (sides: Both): Promise<unknown> => eventually('nothing is left', () => sides.left.every((count) => count === 0), { seen: () => sides.left });

  it('hand arguments over and give results back, many at once', async () => {
    const sides = await both({ add: ([a, b]) => (a as number) + (b as number), rows: async () => [{ id: 1, at: new Date(3), blob: Buffer.from('x') }] });
    assert.deepEqual(await Promise.all(Array.from({ length: 100 }, (_, i) => sides.call('add', i, 1))), Array.from({ length: 100 }, (_, i) => i + 1));
    assert.deepEqual(await sides.call('rows'), [{ id: 1, at: new Date(3), blob: Buffer.from('x') }]);
    assert.deepEqual(sides.left, NOTHING);
  });

  it('take arguments and results beyond a frame, both at once', async () => {
    const sides = await both({ twice: ([value]) => [value, value] });
    const value = Buffer.alloc(3_000_000, 7);
    assert.deepEqual(await sides.call('twice', value), [value, value]);
    assert.deepEqual(sides.left, NOTHING);
  });

  it('say trace and time to whoever serves', async () => {
    const sides = await both({ look: (_args, { trace, remainingMs }) => ({ trace, remainingMs }) });
    assert.deepEqual(await sides.near.call('tea', 'look', [], { timeoutMs: 250, trace: Buffer.alloc(25, 9) }), { trace: Buffer.alloc(25, 9), remainingMs: 250 });
    assert.deepEqual(await sides.call('look'), { trace: undefined, remainingMs: undefined });
  });

  describe('guarantee 1', () => {
    it('what was thrown comes as it was, with the stacks of both processes', async () => {
      class QueryError extends Error {
        readonly code = 'ER_DUP_ENTRY';
        readonly sql = 'INSERT';
      }
      const sides = await both({ fail: () => Promise.reject(new QueryError('twice', { cause: new RangeError('id') })) });
      await assert.rejects(sides.call('fail'), (error: QueryError) => {
        assert.deepEqual([error instanceof Error, error.constructor.name, error.message, error.code, error.sql, error.cause instanceof RangeError], [true, 'QueryError', 'twice', 'ER_DUP_ENTRY', 'INSERT', true]);
        assert.match(error.stack ?? '', /remote\.test[^]*--- called by[^]*remote\.test/);
        return true;
      });
    });

    it('an error that holds what cannot travel comes without that', async () => {
      const sides = await both({ fail: () => { throw Object.assign(new TypeError('socket', { cause: Object.assign(new Error('inner'), { at: Promise.resolve() }) }), { code: 'E_SOCKET', request: () => undefined, socket: new WeakMap(), mark: Symbol('s') }); } });
      await assert.rejects(sides.call('fail'), (error: Error & { code: string }) => {
        assert.deepEqual([error instanceof TypeError, error.code, Object.keys(error), (error.cause as Error).message], [true, 'E_SOCKET', ['code'], 'inner']);
        assert.match(error.stack ?? '', /TypeError: socket\n +at .*remote\.test/);
        return true;
      });
    });

    it('an error that is too large for anything says so much of itself', async () => {
      const sides = await both({ fail: () => { throw Object.assign(new RangeError('large'), { name: 'x'.repeat(LIMITS.remoteValueBytes + 1) }); } });
      await assert.rejects(sides.call('fail'), { message: 'large' });
      await nothingLeft(sides);
    });

    it('an error whose cause is itself does not go round for ever', async () => {
      const error: Error & { mark?: unknown } = new Error('round');
      error.cause = error;
      error.mark = Symbol('s');
      const sides = await both({ fail: () => { throw error; } });
      await assert.rejects(sides.call('fail'), { message: 'round' });
    });

    for (const thrown of [undefined, null, 'text', 7, { plain: true }]) {
      it(`what is no error is thrown as well: ${JSON.stringify(thrown)}`, async () => {
        const sides = await both({ fail: () => { throw thrown; } });
        assert.deepEqual(await sides.call('fail').catch((error: unknown) => ({ error })), { error: thrown });
      });
    }

    it('names that nobody offers, and methods that are not there, have codes', async () => {
      const sides = await both();
      await assert.rejects(sides.near.call('coffee', 'make', []), { code: 'CARTON_RPC_NO_TARGET' });
      await assert.rejects(sides.call('constructor'), { code: 'CARTON_RPC_NO_METHOD' });
      await assert.rejects(sides.far.call('tea', 'make', []), { code: 'CARTON_RPC_NO_TARGET' });
    });

    it('arguments and results that cannot travel have a code, and nothing is sent of such arguments', async () => {
      let calls = 0;
      const sides = await both({ strange: () => Symbol('s'), count: () => (calls += 1) });
      await assert.rejects(sides.call('strange'), { code: 'CARTON_RPC_BAD_VALUE' });
      await assert.rejects(sides.call('count', () => 1, Promise.resolve()), { code: 'CARTON_RPC_BAD_VALUE' });
      await assert.rejects(sides.call('count', Buffer.alloc(LIMITS.remoteValueBytes)), { code: 'CARTON_RPC_VALUE_TOO_LARGE' });
      assert.deepEqual([calls, ...sides.left], [0, ...NOTHING]);
    });

    it('a call that is late rejects, and whoever serves it is told', async () => {
      let told: Promise<unknown> | undefined;
      const sides = await both({ wait: (_args, { signal }) => (told = aborted(signal)) });
      const call = sides.near.call('tea', 'wait', [], { timeoutMs: 100 });
      await eventually('it is served', () => told !== undefined);
      sides.pair.clock.advance(100);
      await assert.rejects(call, { code: 'CARTON_RPC_DEADLINE' });
      assert.equal(codeOf(await told), 'CARTON_RPC_CANCELLED');
      await nothingLeft(sides);
    });

    it('a call that is taken back rejects with the reason, wherever the signal came', async () => {
      const told: unknown[] = [];
      const sides = await both({ wait: async ([options], { signal }) => {
        assert.ok(options === undefined || (options as { signal: AbortSignal }).signal === signal);
        told.push(await aborted(signal));
      } });
      for (const among of [true, false]) {
        const aborting = new AbortController();
        const call = sides.near.call('tea', 'wait', among ? [{ signal: aborting.signal }] : [], among ? {} : { signal: aborting.signal });
        await setImmediate();
        aborting.abort(new RangeError('enough'));
        await assert.rejects(call, RangeError);
        await assert.rejects(sides.near.call('tea', 'wait', [aborting.signal]), RangeError);
      }
      await eventually('both were told', () => told.length === 2);
      await nothingLeft(sides);
    });
  });

  describe('guarantee 3', () => {
    it('a callback can be called until its call has ended, and rejects with what it throws', async () => {
      let kept: (...args: unknown[]) => Promise<unknown> = () => Promise.resolve();
      const sides = await both({ async each([callback]) {
        kept = callback as typeof kept;
        return [await kept(1), await kept(2).catch((error: Error) => error.message)];
      } });
      const seen: unknown[] = [];
      assert.deepEqual(await sides.call('each', (n: number) => {
        seen.push(n);
        if (n === 2) throw new Error('two');
        return n * 10;
      }), [10, 'two']);
      await assert.rejects(kept(3), { code: 'CARTON_RPC_OBJECT_GONE' });
      assert.deepEqual(seen, [1, 2]);
      assert.deepEqual(sides.left, NOTHING);
    });

    it('an object lives until the caller ends it, which it is told once, and then is gone', async () => {
      const calls: unknown[] = [];
      let ends = 0;
      const held = new Held({ invoke: (method, args) => calls.push([method, ...args]) }, { kind: 'transaction' }, () => (ends += 1));
      const sides = await both({ begin: () => held, isSame: ([mine]) => mine === held });
      const object = await sides.call('begin') as RemoteObject;
      assert.deepEqual([object instanceof RemoteObject, object.data, await sides.call('begin').then((again) => (again as RemoteObject).id === object.id)], [true, { kind: 'transaction' }, true]);
      await object.call('insert', [1]);
      assert.equal(await sides.call('isSame', object), true);
      object.end();
      object.end();
      await assert.rejects(object.call('insert', [2]), { code: 'CARTON_RPC_OBJECT_GONE' });
      await assert.rejects(sides.call('isSame', object), { code: 'CARTON_RPC_OBJECT_GONE' });
      assert.deepEqual([calls, ends], [[['insert', 1]], 1]);
      // The session is as it was.
      assert.equal(await sides.call('isSame', 1), false);
      await nothingLeft(sides);
    });

    it('an object that its own side ends is gone for the caller', async () => {
      const held = new Held({ invoke: () => 1 });
      const sides = await both({ begin: () => held });
      const object = await sides.call('begin') as RemoteObject;
      held.end();
      await assert.rejects(object.call('insert', []), { code: 'CARTON_RPC_OBJECT_GONE' });
    });

    it('an object that nobody holds any more at the caller is ended', async () => {
      let ends = 0;
      const sides = await both({ begin: () => new Held({ invoke: () => 1 }, undefined, () => (ends += 1)) });
      for (let i = 0; i < 5; i += 1) await sides.call('begin');
      await eventually('their ends', () => {
        collectGarbage();
        return ends === 5;
      });
    });

    it('an object of a call that was taken back is ended, also where its reply was on the way', async () => {
      let ends = 0;
      const object = (): Held => new Held({ invoke: () => 1 }, undefined, () => (ends += 1));
      const [early, crossing] = [new AbortController(), new AbortController()];
      const sides = await both({
        early: async () => {
          early.abort(new RangeError('enough'));
          await eventually('the news of it', () => sides.pair.right.servedCalls === 0);
          return object();
        },
        crossing: () => {
          // After the reply was made, and before it can have arrived.
          process.nextTick(() => process.nextTick(() => crossing.abort(new RangeError('enough'))));
          return { deep: [object()] };
        },
      });
      await assert.rejects(sides.near.call('tea', 'early', [], { signal: early.signal }), RangeError);
      await eventually('its end', () => ends === 1);
      await assert.rejects(sides.near.call('tea', 'crossing', [], { signal: crossing.signal }), RangeError);
      await eventually('its end', () => ends === 2);
      await nothingLeft(sides);
    });

    it('an object of another session is gone in this one', async () => {
      const methods: Methods = { begin: () => new Held({ invoke: () => 1 }), take: () => 1 };
      const [one, other] = [await both(methods), await both(methods)];
      await assert.rejects(other.call('take', await one.call('begin')), { code: 'CARTON_RPC_OBJECT_GONE' });
    });

    it('more objects than the limit are refused', async () => {
      const sides = await both({ begin: () => new Held({ invoke: () => 1 }) });
      const objects = await Promise.all(Array.from({ length: LIMITS.remoteObjects }, () => sides.call('begin')));
      await assert.rejects(sides.call('begin'), { code: 'CARTON_RPC_TOO_MANY_OBJECTS' });
      (objects[0] as RemoteObject).end();
      await sides.call('begin');
    });
  });

  describe('guarantee 4', () => {
    it('calls, objects, callbacks and streams end with the session, each once', async () => {
      const ends: string[] = [];
      let stream: Readable | undefined;
      const sides = await both({
        begin: () => new Held({ invoke: () => 1 }, undefined, () => ends.push('object')),
        wait: async (_args, { signal }) => ends.push(codeOf(await aborted(signal)) ?? ''),
        read: () => (stream = new Readable({ read: () => undefined })).once('close', () => ends.push('stream')),
      });
      const object = await sides.call('begin') as RemoteObject;
      const calls = [sides.call('wait'), sides.call('wait', () => 1)];
      const read = buffer(await sides.call('read') as Readable);
      sides.pair.left.close();
      for (const call of [...calls, read, sides.call('wait'), object.call('insert', [])]) await assert.rejects(call, { code: 'CARTON_RPC_CLOSED' });
      await eventually('all ends', () => ends.length === 4);
      assert.deepEqual([ends.sort(), sides.closed, stream?.destroyed], [['CARTON_RPC_CANCELLED', 'CARTON_RPC_CANCELLED', 'object', 'stream'], [undefined, undefined], true]);
      assert.deepEqual(sides.left, NOTHING);
    });
  });

  describe('streams', () => {
    async function* counted(to: number, onEnd: () => void = () => undefined): AsyncGenerator<{ n: number; blob: Buffer }> {
      try {
        for (let n = 0; n < to; n += 1) yield { n, blob: Buffer.alloc(1000, n) };
      } finally {
        onEnd();
      }
    }

    it('of bytes and of values come as results, whole and in order', async () => {
      const bytes = Buffer.alloc(3_000_000, 'tea');
      const sides = await both({ bytes: () => Readable.from([bytes], { objectMode: false }), values: () => counted(3000) });
      assert.ok((await buffer(await sides.call('bytes') as Readable)).equals(bytes));
      let next = 0;
      for await (const { n, blob } of await sides.call('values') as AsyncIterable<{ n: number; blob: Buffer }>) {
        assert.deepEqual([n, blob.length], [next, 1000]);
        next += 1;
      }
      assert.equal(next, 3000);
      await nothingLeft(sides);
    });

    it('may have values that are larger than its window', async () => {
      const sizes = [300_000, 10, 2_000_000, 262_140, 5_000_000, 1];
      const sides = await both({ values: () => (async function* () { for (const size of sizes) yield Buffer.alloc(size, 'x'); })() });
      const seen: number[] = [];
      for await (const value of await sides.call('values') as AsyncIterable<Buffer>) seen.push(value.length);
      assert.deepEqual(seen, sizes);
      await nothingLeft(sides);
    });

    it('go along with arguments, beside values of any size', async () => {
      const sides = await both({ async put([name, stream]) {
        return [(name as Buffer).length, (await buffer(stream as Readable)).length];
      }, async sum([values]) {
        let sum = 0;
        for await (const { n } of values as AsyncIterable<{ n: number }>) sum += n;
        return sum;
      } });
      for (const size of [10, 500_000]) assert.deepEqual(await sides.call('put', Buffer.alloc(size), Readable.from([Buffer.alloc(2_000_000)], { objectMode: false })), [size, 2_000_000]);
      assert.equal(await sides.call('sum', counted(100)), 4950);
      await assert.rejects(sides.call('sum', counted(1), counted(1)), { code: 'CARTON_RPC_BAD_VALUE' });
      await nothingLeft(sides);
    });

    it('are not read faster than they are wanted, and no other call waits for that', async () => {
      let given = 0;
      const sides = await both({ values: async function* () { for (;; given += 1) yield Buffer.alloc(10_000); }, add: ([a]) => a });
      const stream = await sides.call('values') as AsyncIterableIterator<Buffer>;
      await eventually('what may be under way', () => given > 20);
      for (let i = 0; i < 50; i += 1) await sides.call('add', i);
      assert.ok(given < 100, `${given}`);
      await stream.return?.();
      await nothingLeft(sides);
    });

    it('tell their source when the reader stops, also where the source waits', async () => {
      const ends: string[] = [];
      const sides = await both({
        values: () => counted(1e9, () => ends.push('values')),
        silent: () => new Readable({ objectMode: true, read: () => undefined }).once('close', () => ends.push('silent')),
      });
      for await (const { n } of await sides.call('values') as AsyncIterable<{ n: number }>) if (n === 3) break;
      await (await sides.call('silent') as AsyncIterableIterator<unknown>).return?.();
      await eventually('both ends', () => ends.length === 2);
      await nothingLeft(sides);
    });

    it('fail with what their source throws', async () => {
      const sides = await both({ values: async function* () { yield 1; throw Object.assign(new TypeError('dry'), { code: 'E_DRY' }); } });
      const seen: unknown[] = [];
      await assert.rejects(async () => { for await (const value of await sides.call('values') as AsyncIterable<unknown>) seen.push(value); }, { name: 'TypeError', message: 'dry', code: 'E_DRY' });
      assert.deepEqual(seen, [1]);
    });
  });

  describe('guarantee 5', () => {
    it('a peer that breaks the protocol loses its session, and others go on', async () => {
      const values = [['tea'], 'tea', ['tea', 1, []], [{}, 'add', []], ['tea', 'add', 3]];
      const payloads: Buffer[] = [
        Buffer.alloc(0), Buffer.alloc(6), Buffer.from([9, 0, 0, 0, 0, 0]), Buffer.from([0, 0, 0, 0, 0, 7, 1]), Buffer.from([1, 0, 0, 0, 0, 0, 255, 255, 255, 255]),
        ...values.map((value) => encodeCall({ remainingMs: undefined, trace: undefined, value: encodeValue(value) })),
        encodeCall({ remainingMs: undefined, trace: undefined, value: encodeValue(['tea', 'add', [() => 1]], () => ({ kind: 99, id: 1 })) }),
        encodeCall({ remainingMs: undefined, trace: undefined, value: encodeValue(['tea', 'add', [() => 1]], () => ({ kind: 4, id: 1 })) }),
      ];
      const other = await both({ add: ([a]) => a });
      for (const payload of payloads) {
        const sides = await both({ add: ([a]) => a });
        sides.pair.left.send(FRAME.call, METHOD.remote, 1, payload);
        await eventually('its end', () => sides.closed.length === 2);
        assert.ok(sides.closed.some((error) => ['CARTON_RPC_BAD_FRAME', 'CARTON_RPC_VALUE_TOO_LARGE'].includes(error?.code ?? '')), payload.toString('hex'));
        assert.equal(await other.call('add', 1), 1);
      }
      const sides = await both();
      sides.pair.left.event(METHOD.release, Buffer.alloc(3));
      await eventually('its end', () => sides.closed.length === 2);
    });
  });
});

function aborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason)));
}
