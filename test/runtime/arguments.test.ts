/**
 * Arguments: from the body, or as the trigger planned them.
 */
import assert from 'node:assert/strict';
import { encodeExtra } from '../../lib/protocol/extra';
import { FrameWriter, HEADER_BYTES } from '../../lib/protocol/frame';
import { InvokePayload, writeInvoke } from '../../lib/protocol/invocation';
import type { ArgumentPlan, OneapiRequest } from '../../lib/protocol/oneapi';
import { readArguments } from '../../lib/runtime/arguments';

function read(args: ArgumentPlan, body: Buffer | string): unknown[] {
  const trace = { traceId: Buffer.alloc(16), spanId: Buffer.alloc(8), parentId: Buffer.alloc(8), sampled: true, state: '' };
  const request: OneapiRequest = { function: 'f', trigger: 'http', args, id: Buffer.alloc(16), trace, user: undefined, streamFormat: 'ndjson' };
  const writer = new FrameWriter();
  writeInvoke(writer, 1, { request, extra: encodeExtra(request), functionIndex: 0, attempt: 1, remainingMs: 1, body: Buffer.from(body) });
  const payload = new InvokePayload(Buffer.concat(writer.take()).subarray(HEADER_BYTES));
  return readArguments(payload, payload.body);
}

const ARRAY: ArgumentPlan = { kind: 'array' };
const values = (list: readonly unknown[], fromBody: readonly { index: number; name?: string }[] = [], missing: readonly number[] = []): ArgumentPlan => ({ kind: 'values', values: list, fromBody, missing });

describe('arguments', () => {
  it('are the elements of the body', () => {
    assert.deepEqual(read(ARRAY, '[1,"x",null,{"a":[]}]'), [1, 'x', null, { a: [] }]);
    assert.deepEqual(read(ARRAY, Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from('["é"]')])), ['é'], 'with a byte order mark');
  });

  it('are refused where the body is no JSON in UTF-8, or no array', () => {
    for (const body of ['', '[', '[1] x', Buffer.from('["é"]', 'latin1'), Buffer.from('["x"]', 'utf16le'), '[\u0000]']) {
      assert.throws(() => read(ARRAY, body), { code: 'CARTON_RUNTIME_BAD_JSON' });
    }
    for (const body of ['{}', 'null', '1', '"x"']) assert.throws(() => read(ARRAY, body), { code: 'CARTON_RUNTIME_ARGUMENTS_NOT_ARRAY' });
  });

  it('come from where the trigger read them, with what is missing undefined', () => {
    assert.deepEqual(read(values(['a', null, 3], [], [1]), ''), ['a', undefined, 3]);
    assert.deepEqual(read(values([null, null, null], [{ index: 0 }, { index: 1, name: 'a' }, { index: 2, name: 'b' }], [0, 1, 2]), '{"a":1}'), [{ a: 1 }, 1, undefined]);
    assert.deepEqual(read(values([null], [{ index: 0, name: 'a' }]), ''), [undefined], 'without a body');
    assert.deepEqual(read(values([1]), 'not looked at'), [1]);
  });

  it('take own properties only', () => {
    for (const name of ['toString', 'constructor', '__proto__']) assert.deepEqual(read(values([null], [{ index: 0, name }]), '{}'), [undefined], name);
    assert.deepEqual(read(values([null], [{ index: 0, name: 'length' }]), '"text"'), [undefined]);
    assert.deepEqual(read(values([null], [{ index: 0, name: '__proto__' }]), '{"__proto__":1}'), [1]);
  });
});
