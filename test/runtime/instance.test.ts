/**
 * An instance serving a worker: the guarantees of `lib/runtime/instance.ts`, deadlines, cancellation, streams, and
 * functions that do what functions should not.
 */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { METHOD } from '../../lib/protocol/control';
import { FRAME, NACK, STREAM_FOLLOWS } from '../../lib/protocol/frame';
import { LIMITS } from '../../lib/support/limits';
import type { AnyFunction } from '../../lib/runtime/functions';
import type { FunctionContextImpl } from '../../lib/runtime/context';
import type { Freshness } from '../../lib/runtime/freshness';
import { settle, Sink, type Heard } from '../support/session_pair';
import { InstanceHost, type HostOptions } from './instance_host';

type Ctx = FunctionContextImpl;

/** A function that waits until the test lets each of its calls go. */
function gate(): { f: AnyFunction; release: (value?: unknown) => void; waiting: () => number; contexts: Ctx[] } {
  const waiting: ((value: unknown) => void)[] = [];
  const contexts: Ctx[] = [];
  const f: AnyFunction = (context) => {
    contexts.push(context as Ctx);
    return new Promise((resolve) => waiting.push(resolve));
  };
  return { f, release: (value = null) => waiting.shift()?.(value), waiting: () => waiting.length, contexts };
}

const failed = (heard: readonly Heard[]): string => {
  const last = heard.at(-1);
  return last?.type === 'fail' ? String(last.error?.code) : `${last?.type}`;
};

describe('instance', () => {
  let hosts: InstanceHost[] = [];
  const serve = async (functions: Record<string, AnyFunction>, options?: HostOptions): Promise<InstanceHost> => {
    const host = await InstanceHost.serve(functions, options);
    hosts.push(host);
    return host;
  };
  afterEach(() => {
    for (const host of hosts) host.close();
    hosts = [];
  });

  describe('guarantee 1: never more than `concurrency` at once', () => {
    it('refuses one more before it began, and tells when a place is free', async () => {
      const { f, release, waiting } = gate();
      const host = await serve({ f }, { concurrency: 2 });
      const sinks = [new Sink(), new Sink(), new Sink()] as const;
      const calls = sinks.map((sink) => host.invoke(sink));
      assert.deepEqual(await sinks[2].ended, [{ type: 'nack', reason: NACK.busy }]);
      assert.deepEqual([waiting(), host.freed, host.instance.load.inflight], [2, 0, 2]);
      assert.equal(host.witness.read(), calls[1]?.id, 'the refused one did not begin');
      release();
      await host.worker.until(() => host.freed === 1);
      release();
      await sinks[1].ended;
      await settle();
      assert.deepEqual([host.freed, host.instance.load], [1, { inflight: 0, served: 2 }]);
    });

    it('gives a place back however an invocation ends', async () => {
      const ways: Record<string, AnyFunction> = {
        value: () => 1, nothing: () => undefined, throws: () => { throw new Error('x'); }, rejects: async () => { throw new Error('x'); },
        stream: async function* () { yield 1; }, streamThrows: async function* () { yield 1; throw new Error('x'); }, badItem: async function* () { yield 1n; },
        large: () => 'x'.repeat(LIMITS.inlineBodyBytes + 1), notJson: () => 1n, thenable: () => ({ then: (resolve: (value: number) => void) => { resolve(1); resolve(2); } }),
      };
      const host = await serve(ways, { concurrency: 1 });
      for (let index = 0; index < Object.keys(ways).length; index += 1) {
        const heard = await host.run([], index);
        assert.notEqual(heard.at(-1)?.type, 'nack', Object.keys(ways)[index]);
      }
      assert.deepEqual(host.instance.load, { inflight: 0, served: Object.keys(ways).length });
      assert.equal(host.pair.right.servedCalls, 0);
    });
  });

  describe('guarantee 2: before a function is called, the begin record says so', () => {
    it('for an invocation with its body', async () => {
      let seen = -1;
      const host: InstanceHost = await serve({ f: () => { seen = host.witness.read(); } });
      const sink = new Sink();
      const { id } = host.invoke(sink);
      await sink.ended;
      assert.equal(seen, id);
    });

    it('by an event where the body came as a stream', async () => {
      const host = await serve({ f: (_context, text) => text });
      const sink = new Sink();
      const call = host.invoke(sink, { body: undefined });
      await settle();
      assert.equal(host.worker.events.length, 0, 'nothing begins before its body is there');
      call.body?.write(Buffer.from('["te'));
      call.body?.write(Buffer.from('xt"]'));
      call.body?.end();
      assert.deepEqual(await sink.ended, [{ type: 'reply', text: '"text"', streamFollows: false }]);
      assert.deepEqual(host.worker.events.map(({ method }) => method), [METHOD.begun]);
      assert.equal(host.witness.read(), 0);
    });

    it('does not call it where the record cannot be written', async () => {
      let called = false;
      const host = await serve({ f: () => (called = true) }, { concurrency: 1 });
      host.record.begun = () => { throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }); };
      assert.equal(failed(await host.run()), 'CARTON_RUNTIME_BUSY');
      assert.deepEqual([called, host.instance.load.inflight], [false, 0]);
    });
  });

  describe('guarantee 3: draining', () => {
    it('refuses new ones, finishes what runs, then says that it is done, once', async () => {
      const { f, release } = gate();
      const host = await serve({ f });
      const running = new Sink();
      host.invoke(running);
      await settle();
      host.instance.drain();
      host.instance.drain();
      assert.deepEqual(await host.run(), [{ type: 'nack', reason: NACK.draining }]);
      assert.deepEqual([host.drained, host.instance.ready.draining], [0, true]);
      release('done');
      assert.deepEqual(await running.ended, [{ type: 'reply', text: '"done"', streamFollows: false }]);
      assert.equal(host.drained, 1);
    });

    it('waits for what functions handed to waitUntil, and logs what of it fails', async () => {
      let fail: (error: unknown) => void = () => undefined;
      const host = await serve({ f: (context) => (context as Ctx).waitUntil(new Promise((_resolve, reject) => (fail = reject))) });
      await host.run();
      host.instance.drain();
      assert.deepEqual([host.drained, host.instance.load.inflight], [0, 1]);
      fail(Object.create(null));
      await settle();
      assert.deepEqual([host.drained, host.instance.load.inflight], [1, 0]);
      assert.match(host.lines.join('\n'), /error \[f abababababab\] waitUntil: a value that cannot be shown/);
    });

    it('refuses as stale once a file has changed (development)', async () => {
      const host = await serve({ f: () => 1 }, { development: true, freshness: { changed: () => '/app/x.js' } as unknown as Freshness });
      assert.deepEqual(await host.run(), [{ type: 'nack', reason: NACK.stale }]);
      assert.deepEqual([host.stale, host.drained], [['/app/x.js'], 1]);
    });
  });

  describe('deadline and cancellation', () => {
    it('ends at the deadline whatever the function does, and says so through the signal', async () => {
      const { f, contexts, release } = gate();
      const host = await serve({ f });
      const sink = new Sink();
      host.invoke(sink, { remainingMs: 500 });
      await settle();
      assert.equal(contexts[0]?.signal.aborted, false);
      host.pair.clock.advance(500);
      assert.equal(failed(await sink.ended), 'CARTON_RUNTIME_TIMEOUT');
      assert.equal((contexts[0]?.signal.reason as { code?: string }).code, 'CARTON_RUNTIME_TIMEOUT');
      assert.equal(host.instance.load.inflight, 0);
      release('late');
      await settle();
      assert.deepEqual([sink.heard.length, host.lines.length], [1, 0], 'a late result is no news');
    });

    it('keeps the place of a cancelled one until its function has settled', async () => {
      const { f, contexts, release } = gate();
      const host = await serve({ f });
      const call = host.invoke(new Sink());
      await settle();
      const { signal } = contexts[0] as Ctx;
      call.cancel();
      await settle();
      assert.equal((signal.reason as { code?: string }).code, 'CARTON_RUNTIME_CANCELLED');
      assert.equal(host.instance.load.inflight, 1);
      release();
      await settle();
      assert.equal(host.instance.load.inflight, 0);
    });

    it('gives the place of one that is cancelled before it began back at once', async () => {
      const host = await serve({ f: () => 1 });
      const call = host.invoke(new Sink(), { body: undefined });
      await settle();
      assert.equal(host.instance.load.inflight, 1);
      call.cancel();
      await settle();
      assert.deepEqual([host.instance.load, host.pair.clock.pending], [{ inflight: 0, served: 0 }, 0]);
    });

    it('cancels what a worker that has gone had running', async () => {
      const { f, contexts } = gate();
      const host = await serve({ f });
      host.invoke(new Sink());
      await settle();
      const { signal } = contexts[0] as Ctx;
      host.session.close();
      await settle();
      assert.equal(signal.aborted, true);
    });

    it('fails one whose body did not come whole', async () => {
      const host = await serve({ f: () => 1 });
      const sink = new Sink();
      const call = host.invoke(sink, { body: undefined });
      call.body?.end({ code: 'CARTON_INGRESS_BODY_ABORTED', message: 'm', status: 400 });
      assert.equal(failed(await sink.ended), 'CARTON_INGRESS_BODY_ABORTED');
      assert.equal(host.instance.load.served, 0);
    });
  });

  describe('streams', () => {
    it('sends no more than the reader takes, and closes the source when the reader has gone', async () => {
      let [made, closed] = [0, false];
      const host = await serve({
        async *f() {
          try {
            for (;;) yield 'x'.repeat(10_000 + (made += 1) * 0);
          } finally {
            closed = true;
          }
        },
      });
      const sink = new Sink();
      const call = host.invoke(sink);
      await settle(40);
      const before = made;
      assert.ok(before * 10_000 < LIMITS.streamWindowBytes + 20_000, `${before} items without credit`);
      call.cancel();
      await settle();
      assert.deepEqual([closed, made - before <= 1, host.instance.load.inflight], [true, true, 0]);
    });

    it('ends at the deadline with an error item, and closes the source that waits for its reader', async () => {
      let closed = false;
      const host = await serve({
        async *f() {
          try {
            for (;;) yield 'x'.repeat(60_000);
          } finally {
            closed = true;
          }
        },
      });
      const sink = new Sink();
      const call = host.invoke(sink, { remainingMs: 100 });
      await settle(20);
      host.pair.clock.advance(100);
      await settle();
      assert.equal(closed, true, 'the function\'s finally block never ran');
      sink.onChunk = (chunk) => call.received?.consumed(chunk.length);
      call.received?.consumed(sink.chunks.reduce((sum, { length }) => sum + length, 0));
      assert.deepEqual((await sink.ended).at(-1), { type: 'end', error: undefined });
      const lines = Buffer.concat(sink.chunks).toString().trimEnd().split('\n');
      assert.equal((JSON.parse(lines.at(-1) as string) as { error: { code: string } }).error.code, 'CARTON_RUNTIME_TIMEOUT');
    });

    it('closes a stream that comes when nobody waits for it any more', async () => {
      const { f, release } = gate();
      const host = await serve({ f });
      const results = [new Readable({ read: () => undefined }), (async function* () { yield 1; })(), { [Symbol.asyncIterator]: () => { throw new Error('no'); } }];
      for (const result of results) {
        host.invoke(new Sink(), { remainingMs: 10 });
        await settle();
        host.pair.clock.advance(10);
        release(result);
        await settle();
      }
      assert.equal((results[0] as Readable).destroyed, true);
      assert.match(host.lines.join('\n'), /could not be closed: no/);
    });

    it('sends large values in pieces', async () => {
      const value = { text: 'é'.repeat(100_000) };
      const host = await serve({ f: () => value });
      const sink = new Sink();
      const call = host.invoke(sink);
      sink.onChunk = (chunk) => call.received?.consumed(chunk.length);
      await sink.ended;
      assert.deepEqual(JSON.parse(Buffer.concat(sink.chunks).toString()), value);
    });
  });

  describe('bodies', () => {
    it('takes a body in pieces of one byte without keeping a buffer for each', async () => {
      const host = await serve({ f: (_context, text) => (text as string).length });
      const sink = new Sink();
      const call = host.invoke(sink, { body: undefined });
      const body = Buffer.from(JSON.stringify(['x'.repeat(100_000)]));
      for (let at = 0; at < body.length; at += 1) call.body?.write(body.subarray(at, at + 1));
      call.body?.end();
      assert.deepEqual(await sink.ended, [{ type: 'reply', text: '100000', streamFollows: false }]);
    });

    it('refuses one byte more than the function takes', async () => {
      const host = await serve({ f: () => 1 }, { bodyLimitBytes: 10 });
      for (const [size, expected] of [[10, 'CARTON_RUNTIME_ARGUMENTS_NOT_ARRAY'], [11, 'CARTON_INGRESS_BODY_TOO_LARGE']] as const) {
        const sink = new Sink();
        const call = host.invoke(sink, { body: undefined });
        call.body?.write(Buffer.from('1'.repeat(size)));
        call.body?.end();
        assert.equal(failed(await sink.ended), expected);
      }
      assert.equal(host.instance.load.inflight, 0);
    });
  });

  describe('functions that do what functions should not', () => {
    const odd: Record<string, AnyFunction> = {
      'an error whose message is no string': () => { throw Object.assign(new Error(), { message: 5 }); },
      'an error whose getters throw': () => { throw Object.defineProperties(new Error('x'), { message: { get: () => { throw new Error('no'); } }, stack: { get: () => { throw new Error('no'); } } }); },
      'an object without a prototype': () => { throw Object.create(null); },
      'nothing at all': () => { throw undefined; },
      'a symbol': () => { throw Symbol('x'); },
      'a proxy that refuses everything': () => { throw new Proxy({}, { getPrototypeOf: () => { throw new Error('no'); }, get: () => { throw new Error('no'); } }); },
      'an error with a name of a megabyte': () => { throw Object.assign(new Error('x'.repeat(2e6)), { name: 'n'.repeat(2e6) }); },
      'a result whose toJSON throws null': () => ({ toJSON: () => { throw null; } }),
      'a result that refers to itself': () => { const self: Record<string, unknown> = {}; self['self'] = self; return self; },
      'a result that is a proxy which refuses everything': () => new Proxy({}, { has: () => { throw new Error('no'); }, get: (_target, key) => { if (key !== 'then') throw new Error('no'); } }),
      'a thenable whose then throws': () => ({ then: () => { throw new Error('no'); } }),
      'a rejection with an odd value': async () => { throw Object.create(null); },
    };
    for (const [what, f] of Object.entries(odd)) {
      it(`answers ${what} with an error, and serves on`, async () => {
        const host = await serve({ f, fine: () => 'fine' }, { development: true });
        const heard = await host.run();
        assert.match(failed(heard), /^CARTON_RUNTIME_(FUNCTION_THREW|RESULT_NOT_SERIALIZABLE)$/);
        assert.ok(JSON.stringify(heard).length < 64 * 1024);
        assert.deepEqual(await host.run([], 1), [{ type: 'reply', text: '"fine"', streamFollows: false }]);
        assert.equal(host.instance.load.inflight, 0);
      });
    }

    it('refuses more arguments than the stack takes', async () => {
      const host = await serve({ f: (_context, ...args) => args.length });
      const at = (count: number): Promise<readonly Heard[]> => host.run(Array.from({ length: count }, () => 0));
      assert.deepEqual(await at(LIMITS.arguments), [{ type: 'reply', text: String(LIMITS.arguments), streamFollows: false }]);
      assert.equal(failed(await at(LIMITS.arguments + 1)), 'CARTON_RUNTIME_BAD_ARGUMENT');
    });

    it('refuses a result beyond the limit', async () => {
      const host = await serve({ f: () => 'x'.repeat(LIMITS.resultBytes) });
      assert.equal(failed(await host.run()), 'CARTON_RUNTIME_RESULT_TOO_LARGE');
    });
  });

  describe('a worker that breaks the protocol loses its session', () => {
    for (const [what, send] of Object.entries<(host: InstanceHost) => void>({
      'another method': (host) => host.session.send(FRAME.call, METHOD.mock, 1, Buffer.from('{}')),
      'a short head': (host) => host.session.send(FRAME.call, METHOD.invoke, 1, Buffer.alloc(10)),
      'a function that does not exist': (host) => void host.invoke(new Sink(), { functionIndex: 9 }),
      'a control event': (host) => host.session.event(METHOD.drain, Buffer.from('{}')),
      'data without a body': (host) => { host.invoke(new Sink()); host.session.sendData(1, Buffer.from('x')); },
      'an empty part of a body': (host) => { host.session.send(FRAME.call, METHOD.invoke | STREAM_FOLLOWS, 1, Buffer.alloc(62)); host.session.sendData(1, Buffer.alloc(0)); },
    })) {
      it(what, async () => {
        const host = await serve({ f: gate().f });
        send(host);
        await host.worker.gone;
        assert.equal(host.pair.right.isClosed, true);
      });
    }
  });
});
