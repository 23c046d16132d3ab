/**
 * Counts of invocations, and the channel on which they are told; its reference names every channel and field.
 */
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { CHANNELS, type InvocationRecord } from '../../lib/observe/channels';
import { LATENCY_BUCKETS_MS, Metrics } from '../../lib/observe/metrics';
import { Recorder } from '../../lib/observe/recorder';

const RECORD: InvocationRecord = {
  invocation: 'a'.repeat(32), function: 'hello', trigger: 'oneapi', traceId: 'b'.repeat(32), status: 200, errorCode: undefined, latencyMs: 3, durationMs: 4, waited: false,
};

describe('metrics', () => {
  it('count invocations, waits and errors by function', () => {
    const metrics = new Metrics();
    metrics.record({ function: 'a', latencyMs: 1, waited: true, errorCode: undefined });
    metrics.record({ function: 'a', latencyMs: 1, waited: false, errorCode: 'CARTON_RUNTIME_TIMEOUT' });
    metrics.record({ function: '__proto__', latencyMs: 1, waited: false, errorCode: undefined });
    const { a, ...others } = metrics.snapshot();
    assert.deepEqual([a?.invocations, a?.waited, a?.errors], [2, 1, { CARTON_RUNTIME_TIMEOUT: 1 }]);
    assert.deepEqual(Object.keys(others), ['__proto__']);
  });

  it('put a latency into the first bucket that holds it', () => {
    const metrics = new Metrics();
    for (const latencyMs of [0, 1, 1.5, 10_000, 10_001, 1e9]) metrics.record({ function: 'a', latencyMs, waited: false, errorCode: undefined });
    const counts = metrics.snapshot()['a']?.latency as number[];
    assert.equal(counts.length, LATENCY_BUCKETS_MS.length);
    assert.deepEqual([counts[0], counts[1], counts.at(-2), counts.at(-1)], [2, 1, 1, 2]);
  });

  it('are read as a copy', () => {
    const metrics = new Metrics();
    metrics.record({ function: 'a', latencyMs: 0, waited: false, errorCode: undefined });
    const before = metrics.snapshot();
    metrics.record({ function: 'a', latencyMs: 0, waited: false, errorCode: undefined });
    assert.equal(before['a']?.invocations, 1);
  });
});

describe('the channel of invocations', () => {
  it('has the record while somebody listens, and makes none otherwise', () => {
    const recorder = new Recorder();
    let made = 0;
    const invocation = { ...RECORD, get record(): InvocationRecord { made += 1; return RECORD; } };
    const heard: unknown[] = [];
    const listen = (message: unknown): void => void heard.push(message);
    recorder.record(invocation);
    subscribe(CHANNELS.invocation, listen);
    recorder.record(invocation);
    unsubscribe(CHANNELS.invocation, listen);
    recorder.record(invocation);
    assert.deepEqual([made, heard, recorder.metrics['hello']?.invocations], [1, [RECORD], 3]);
  });

  it('stands in the reference with each of its fields', () => {
    const text = readFileSync(path.resolve(__dirname, '../../docs/reference/channels.md'), 'utf8');
    for (const name of [...Object.values(CHANNELS), ...Object.keys(RECORD)]) assert.ok(text.includes(`\`${name}\``), name);
  });
});
