/**
 * Results and thrown errors on their way to the caller.
 */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { launchError } from '../../lib/runtime/launch_error';
import { encodeValue, errorItem, sendItems } from '../../lib/runtime/result';
import { wireOfThrown } from '../../lib/runtime/thrown';
import { StreamSender } from '../../lib/rpc/stream';
import type { ProcessBoot } from '../../lib/protocol/control';
import type { StreamFormat } from '../../lib/protocol/oneapi';
import { CartonError, toWire } from '../../lib/support/errors';
import { LIMITS } from '../../lib/support/limits';

async function sent(items: AsyncIterable<unknown>, format: StreamFormat): Promise<string> {
  const chunks: Buffer[] = [];
  await sendItems(items, new StreamSender({ sendData: (_id, chunk) => chunks.push(chunk), sendEnd: () => undefined, sendCredit: () => undefined }, 1), format);
  return Buffer.concat(chunks).toString('utf8');
}

async function* of(...items: unknown[]): AsyncGenerator<unknown> {
  yield* items;
}

describe('result', () => {
  it('is JSON, or nothing for undefined', () => {
    assert.equal(encodeValue({ a: [1, null] }), '{"a":[1,null]}');
    assert.equal(encodeValue(null), 'null');
    assert.equal(encodeValue(undefined), undefined);
  });

  it('that JSON cannot say is refused', () => {
    for (const value of [1n, () => 1, Symbol('x')]) assert.throws(() => encodeValue(value), { code: 'CARTON_RUNTIME_RESULT_NOT_SERIALIZABLE' });
  });

  it('becomes lines or server-sent events, with an end', async () => {
    assert.equal(await sent(of(1, { a: 'é\n' }), 'ndjson'), '{"data":1}\n{"data":{"a":"é\\n"}}\n{"end":true}\n');
    assert.equal(await sent(of(1, 'a\nb'), 'sse'), 'data: 1\n\ndata: "a\\nb"\n\nevent: end\ndata: {}\n\n');
  });

  it('of bytes becomes text, whole characters at a time', async () => {
    const bytes = Buffer.from('aé€');
    const text = await sent(Readable.from([...bytes].map((byte) => Buffer.from([byte])), { objectMode: false }), 'ndjson');
    const joined = text.trimEnd().split('\n').map((line) => (JSON.parse(line) as { data?: string }).data ?? '').join('');
    assert.equal(joined, 'aé€');
  });

  it('has items of a limited size', async () => {
    await assert.rejects(sent(of('x'.repeat(LIMITS.resultBytes)), 'ndjson'), { code: 'CARTON_RUNTIME_RESULT_TOO_LARGE' });
    await assert.rejects(sent(of(undefined), 'ndjson'), { code: 'CARTON_RUNTIME_RESULT_NOT_SERIALIZABLE' });
  });

  it('that failed ends with its error', () => {
    const error = toWire(new CartonError('CARTON_RUNTIME_TIMEOUT'));
    assert.match(errorItem(error, 'ndjson').toString(), /^\{"error":\{"code":"CARTON_RUNTIME_TIMEOUT",.*\}\}\n$/);
    assert.match(errorItem(error, 'sse').toString(), /^event: error\ndata: \{.*\}\n\n$/);
  });
});

describe('thrown error', () => {
  const wire = (thrown: unknown, development = false): ReturnType<typeof wireOfThrown> => wireOfThrown(thrown, 'f', development);

  it('tells name, message and its own code; the stack in development only', () => {
    const error = Object.assign(new TypeError('m'), { code: 'E_MINE' });
    assert.deepEqual(wire(error).thrown, { name: 'TypeError', message: 'm', code: 'E_MINE', stack: undefined });
    assert.match(String(wire(error, true).thrown?.stack), /TypeError: m/);
    assert.deepEqual([wire(error).code, wire(error).status], ['CARTON_RUNTIME_FUNCTION_THREW', 500]);
  });

  it('may carry a status from 400 to 599', () => {
    for (const [status, expected] of [[404, 404], [599, 599], [200, 500], [600, 500], [404.5, 500], ['404', 500], [NaN, 500]] as const) {
      assert.equal(wire(Object.assign(new Error('m'), { status })).status, expected);
    }
  });

  it('cannot pass its own code off as one of the table', () => {
    for (const code of ['CARTON_RUNTIME_BUSY', 'x y', '', 'x'.repeat(101), 5]) assert.equal(wire(Object.assign(new Error('m'), { code })).thrown?.code, undefined);
  });

  it('of the table keeps its code, unless somebody changed it into something else', () => {
    assert.equal(wire(new CartonError('CARTON_RUNTIME_CONTEXT_PROPERTY')).code, 'CARTON_RUNTIME_CONTEXT_PROPERTY');
    for (const change of [{ status: 9999 }, { code: 'CARTON_X' }, { message: 5 }, { message: 'x'.repeat(5000) }]) {
      assert.equal(wire(Object.assign(new CartonError('CARTON_RUNTIME_CONTEXT_PROPERTY'), change)).code, 'CARTON_RUNTIME_FUNCTION_THREW');
    }
    assert.equal(wire(new CartonError('CARTON_RUNTIME_UNKNOWN_SERVICE')).status, 500, 'one without a status of an answer');
  });

  it('is of bounded size, as a launch error is', () => {
    const huge = Object.assign(new Error('x'.repeat(1e6)), { name: 'n'.repeat(1e6) });
    assert.ok(JSON.stringify(wire(huge, true)).length < 5 * LIMITS.errorCharacters);
    const boot = { application: { name: 'a', baseDir: '/app' }, development: true } as unknown as ProcessBoot;
    const launch = launchError(new Error('x'.repeat(1e6)), boot);
    assert.ok(JSON.stringify(toWire(launch)).length < 5 * LIMITS.errorCharacters);
    assert.equal(launchError(Object.create(null), boot).code, 'CARTON_INSTANCE_LAUNCH_FAILED');
  });
});
