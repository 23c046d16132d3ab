/**
 * The payload of an invocation: what goes in comes out, whatever the sizes; what no trigger sends is refused.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { METHOD } from '../../lib/protocol/control';
import { decodeExtra, encodeExtra } from '../../lib/protocol/extra';
import { FRAME, FrameReader, FrameWriter, STREAM_FOLLOWS } from '../../lib/protocol/frame';
import { InvokePayload, writeInvoke, type Invoke } from '../../lib/protocol/invocation';
import { STREAM_FORMATS, TRIGGER_TYPES, type ArgumentPlan, type OneapiRequest } from '../../lib/protocol/oneapi';

const bytes = (length: number): fc.Arbitrary<Buffer> => fc.uint8Array({ minLength: length, maxLength: length }).map((value) => Buffer.from(value));
/** Around the sizes from which bytes are handed over instead of copied, and around a slab's. */
const SIZES = [0, 1, 100, 8191, 8192, 8193, 20_000, 65_535, 65_536];

const plan: fc.Arbitrary<ArgumentPlan> = fc.oneof(
  fc.constant<ArgumentPlan>({ kind: 'array' }),
  fc.array(fc.oneof(fc.string(), fc.integer(), fc.constant(null)), { minLength: 1, maxLength: 5 }).chain((values) =>
    fc.record({
      kind: fc.constant('values' as const),
      values: fc.constant(values),
      missing: fc.uniqueArray(fc.integer({ min: 0, max: values.length - 1 }), { maxLength: 3 }),
      fromBody: fc.array(fc.record({ index: fc.integer({ min: 0, max: values.length - 1 }), name: fc.string() }, { requiredKeys: ['index'] }), { maxLength: 2 }),
    })),
);

const request: fc.Arbitrary<OneapiRequest> = fc.record({
  function: fc.constant('f'),
  trigger: fc.constantFrom(...TRIGGER_TYPES),
  args: plan,
  id: bytes(16),
  trace: fc.record({ traceId: bytes(16), spanId: bytes(8), parentId: bytes(8), sampled: fc.boolean(), state: fc.oneof(fc.constant(''), fc.string()) }),
  user: fc.oneof(fc.constant(undefined), fc.record({ id: fc.integer(), name: fc.string(), note: fc.constantFrom(...SIZES).map((size) => 'n'.repeat(size)) })),
  streamFormat: fc.constantFrom(...STREAM_FORMATS),
});

const attempt = fc.record({
  request,
  functionIndex: fc.integer({ min: 0, max: 65_535 }),
  attempt: fc.integer({ min: 1, max: 255 }),
  remainingMs: fc.integer({ min: 0, max: 3_600_000 }),
  body: fc.oneof(fc.constant(undefined), fc.constantFrom(...SIZES).map((size) => Buffer.alloc(size, 'b'))),
});

function travel(invoke: Invoke): { flag: number; id: number; payload: InvokePayload } {
  const writer = new FrameWriter();
  // Something before and after, so that a wrong length shows.
  writer.frame(FRAME.event, 1, 0, Buffer.from('before'));
  writeInvoke(writer, 77, invoke);
  writer.frame(FRAME.event, 2, 0, Buffer.from('after'));
  const frames: { type: number; flag: number; id: number; payload: Buffer }[] = [];
  const reader = new FrameReader((type, flag, id, payload) => frames.push({ type, flag, id, payload }));
  reader.push(Buffer.concat(writer.take()));
  assert.deepEqual(frames.map(({ type }) => type), [FRAME.event, FRAME.call, FRAME.event]);
  assert.equal(frames[2]?.payload.toString(), 'after');
  const { flag, id, payload } = frames[1] as { flag: number; id: number; payload: Buffer };
  return { flag, id, payload: new InvokePayload(payload) };
}

function sample(overrides: Partial<Invoke> = {}): Invoke {
  const trace = { traceId: Buffer.alloc(16, 1), spanId: Buffer.alloc(8, 2), parentId: Buffer.alloc(8), sampled: true, state: '' };
  const base: OneapiRequest = { function: 'f', trigger: 'http', args: { kind: 'array' }, id: Buffer.alloc(16, 3), trace, user: undefined, streamFormat: 'ndjson' };
  return { request: base, extra: undefined, functionIndex: 0, attempt: 1, remainingMs: 1000, body: Buffer.from('[]'), ...overrides };
}

function sampleBytes(change: (bytes: Buffer) => void = () => undefined): Buffer {
  const writer = new FrameWriter();
  writeInvoke(writer, 1, sample());
  const payload = Buffer.concat(writer.take()).subarray(10);
  change(payload);
  return payload;
}

/** fast-check's records have no prototype. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

describe('invocation', () => {
  it('carries every field, extra and bodies of all sizes', () => {
    fc.assert(fc.property(attempt, (made) => {
      const { flag, id, payload } = travel({ ...made, extra: encodeExtra(made.request) });
      const { trace } = made.request;
      assert.equal(flag, METHOD.invoke | (made.body === undefined ? STREAM_FOLLOWS : 0));
      assert.equal(id, 77);
      assert.deepEqual([payload.trigger, payload.attempt, payload.streamFormat], [made.request.trigger, made.attempt, made.request.streamFormat]);
      assert.deepEqual([payload.functionIndex, payload.remainingMs, payload.sampled], [made.functionIndex, made.remainingMs, trace.sampled]);
      assert.deepEqual([payload.id, payload.traceId], [made.request.id.toString('hex'), trace.traceId.toString('hex')]);
      assert.deepEqual([payload.spanId, payload.parentId], [trace.spanId.toString('hex'), trace.parentId.toString('hex')]);
      assert.deepEqual(payload.body, made.body ?? Buffer.alloc(0));
      assert.deepEqual(plain(payload.extra.user), plain(made.request.user));
      assert.equal(payload.extra.traceState ?? '', trace.state);
      const args = payload.extra.args ?? { kind: 'array' };
      assert.deepEqual(plain(args), plain(made.request.args));
    }), { numRuns: 300 });
  });

  it('has no extra where there is nothing to say', () => {
    const { payload } = travel(sample());
    assert.equal(encodeExtra(sample().request), undefined);
    assert.equal(payload.hasExtra, false);
    assert.deepEqual(payload.extra, {});
  });

  it('saturates what does not fit: attempts, a time that is over, a time that no timer can wait', () => {
    assert.equal(travel(sample({ attempt: 1000 })).payload.attempt, 255);
    assert.equal(travel(sample({ remainingMs: -5 })).payload.remainingMs, 0);
    assert.equal(travel(sample({ remainingMs: 0.2 })).payload.remainingMs, 1);
    assert.equal(travel(sample({ remainingMs: 1e12 })).payload.remainingMs, 2 ** 31 - 1);
  });

  it('refuses a head that is short, lies about its extra, or names what does not exist', () => {
    const refused = { code: 'CARTON_RPC_BAD_FRAME' };
    assert.throws(() => new InvokePayload(Buffer.alloc(61)), refused);
    assert.throws(() => new InvokePayload(sampleBytes((payload) => payload.writeUInt32LE(3, 6))), refused);
    assert.throws(() => new InvokePayload(sampleBytes((payload) => payload.writeUInt32LE(0xffffffff, 6))), refused);
    assert.throws(() => new InvokePayload(sampleBytes((payload) => payload.writeUInt8(TRIGGER_TYPES.length, 1))), refused);
    assert.throws(() => new InvokePayload(sampleBytes((payload) => payload.writeUInt8(2, 3))), refused);
    assert.throws(() => new InvokePayload(sampleBytes((payload) => payload.writeUInt32LE(2 ** 31, 10))), refused);
  });

  it('reads or refuses any bytes, and throws nothing but the table\'s errors', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (raw) => {
      try {
        const payload = new InvokePayload(Buffer.from(raw));
        void [payload.trigger, payload.streamFormat, payload.id, payload.body, payload.extra];
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'CARTON_RPC_BAD_FRAME');
      }
    }), { numRuns: 500 });
  });

  for (const [what, text] of [
    ['no JSON', '{'],
    ['an array', '[]'],
    ['null', 'null'],
    ['a plan of another kind', '{"args":{"kind":"all"}}'],
    ['a plan without values', '{"args":{"kind":"values"}}'],
    ['an index beyond the values', '{"args":{"kind":"values","values":[1],"missing":[4294967294],"fromBody":[]}}'],
    ['a negative index', '{"args":{"kind":"values","values":[1],"missing":[],"fromBody":[{"index":-1}]}}'],
    ['a name that is no string', '{"args":{"kind":"values","values":[1],"missing":[],"fromBody":[{"index":0,"name":{}}]}}'],
    ['a trace state that is no string', '{"traceState":1}'],
  ] as const) {
    it(`refuses extra that is ${what}`, () => {
      assert.throws(() => decodeExtra(text), { code: 'CARTON_RPC_BAD_FRAME' });
    });
  }

  it('takes keys such as __proto__ for data', () => {
    const { user } = decodeExtra('{"user":{"__proto__":{"admin":true}},"__proto__":{"args":{"kind":"array"}}}');
    assert.equal((user as { admin?: boolean }).admin, undefined);
    assert.equal(({} as { admin?: boolean }).admin, undefined);
  });
});
