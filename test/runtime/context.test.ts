/**
 * `ctx`: frozen, lazy, the same for every trigger.
 */
import assert from 'node:assert/strict';
import { encodeExtra } from '../../lib/protocol/extra';
import { FrameWriter, HEADER_BYTES } from '../../lib/protocol/frame';
import { InvokePayload, writeInvoke } from '../../lib/protocol/invocation';
import type { OneapiRequest } from '../../lib/protocol/oneapi';
import { FunctionContextImpl, type ContextSource } from '../../lib/runtime/context';
import { taggedLogger } from '../../lib/runtime/tagged_logger';

function payloadOf(overrides: Partial<OneapiRequest> = {}): InvokePayload {
  const trace = { traceId: Buffer.alloc(16, 1), spanId: Buffer.alloc(8, 2), parentId: Buffer.alloc(8, 3), sampled: true, state: 'a=b' };
  const request: OneapiRequest = { function: 'f', trigger: 'http', args: { kind: 'array' }, id: Buffer.alloc(16, 0xcd), trace, user: { id: 7 }, streamFormat: 'ndjson', ...overrides };
  const writer = new FrameWriter();
  writeInvoke(writer, 1, { request, extra: encodeExtra(request), functionIndex: 0, attempt: 2, remainingMs: 100, body: Buffer.from('[]') });
  return new InvokePayload(Buffer.concat(writer.take()).subarray(HEADER_BYTES));
}

function contextOf(payload = payloadOf()): { context: FunctionContextImpl; read: string[] } {
  const read: string[] = [];
  const source = new Proxy({ payload, functionName: 'f', revision: 'rev', config: Object.freeze({}), deadline: 12, scope: { service: 's' }, logger: {}, signal: new AbortController().signal, waitUntil: () => undefined } as unknown as ContextSource, {
    get(target, key) {
      read.push(String(key));
      return target[key as keyof ContextSource];
    },
  });
  return { context: new FunctionContextImpl(source), read };
}

describe('context', () => {
  it('reads nothing before it is asked', () => {
    assert.deepEqual(contextOf().read, []);
  });

  it('tells of the invocation, its trace and its user', () => {
    const { context } = contextOf();
    assert.deepEqual({ ...context.invocation }, { id: 'cd'.repeat(16), function: 'f', revision: 'rev', trigger: 'http', attempt: 2, deadline: 12 });
    assert.deepEqual({ ...context.trace }, {
      traceparent: `00-${'01'.repeat(16)}-${'02'.repeat(8)}-01`, tracestate: 'a=b', traceId: '01'.repeat(16), spanId: '02'.repeat(8), parentId: '03'.repeat(8), sampled: true,
    });
    assert.deepEqual(context.user, { id: 7 });
    assert.equal(context.user, context.user, 'decoded once');
    assert.equal(context.invocation, context.invocation);
    assert.equal(context.trace, context.trace);
  });

  it('has no parent where the trace begins, and no user for nobody', () => {
    const trace = { traceId: Buffer.alloc(16, 1), spanId: Buffer.alloc(8, 2), parentId: Buffer.alloc(8), sampled: false, state: '' };
    const { context } = contextOf(payloadOf({ trace, user: undefined }));
    assert.deepEqual([context.trace.parentId, context.trace.tracestate, context.user], [undefined, '', undefined]);
    assert.match(context.trace.traceparent, /-00$/);
  });

  it('cannot be changed, nor can what all contexts share', () => {
    const { context } = contextOf();
    const open = context as unknown as Record<string, unknown>;
    assert.throws(() => (open['user'] = 1), TypeError);
    assert.throws(() => (open['extra'] = 1), TypeError);
    assert.throws(() => ((context.invocation as unknown as Record<string, unknown>)['id'] = 1), TypeError);
    assert.throws(() => ((context.trace as unknown as Record<string, unknown>)['traceId'] = 1), TypeError);
    assert.throws(() => ((Object.getPrototypeOf(context) as Record<string, unknown>)['user'] = 1), TypeError);
  });

  it('tags log lines, whatever is logged', () => {
    const lines: string[] = [];
    const note = (message: unknown): void => void lines.push(String(message));
    const logger = taggedLogger({ debug: note, info: note, warn: note, error: note }, 'f', () => 'ab'.repeat(16));
    for (const message of ['text', 5, undefined, Object.create(null), Object.assign(new Error('m'), { stack: undefined })]) logger.info(message);
    assert.deepEqual(lines, ['text', '5', 'undefined', 'a value that cannot be shown', 'm'].map((text) => `[f abababababab] ${text}`));
  });
});
