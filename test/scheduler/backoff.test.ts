/** How long a group backs off, and what a failure does to it. */
import assert from 'node:assert/strict';
import { afterFailure, backingOffError, backoffMs, withoutFailures, type Failure } from '../../lib/scheduler/backoff';
import { initialState, setGroups } from '../../lib/scheduler/transitions';
import type { GroupState, HostLimits } from '../../lib/scheduler/state';
import { LIMITS } from '../../lib/support/limits';
import type { WireError } from '../../lib/support/errors';

const LIMIT: HostLimits = { maxInstances: 4, launchTimeoutMs: 5_000, drainTimeoutMs: 3_000, maxBackoffMs: 60_000, development: false };
const BOOT_ERROR: WireError = { code: 'CARTON_RUNTIME_LOAD_FAILED', message: 'no such module', status: 500 };
const REPORTED: Failure = { error: BOOT_ERROR, bySignal: false, at: 100, othersReady: false };
const KILLED: Failure = { error: undefined, bySignal: true, at: 100, othersReady: false };

function group(key = 'hello'): GroupState {
  const spec = { key, functions: [key], concurrency: 1, minInstances: 0, maxInstances: 2, idleTimeoutMs: 1_000 };
  const made = setGroups(initialState(LIMIT), { revision: 'r1', groups: [spec] }).groups.get(key);
  assert(made);
  return made;
}

function fail(from: GroupState, times: number, failure: Failure, limits = LIMIT): GroupState {
  let result = from;
  for (let count = 0; count < times; count += 1) result = afterFailure(result, failure, limits);
  return result;
}

describe('scheduler/backoff', () => {
  it('doubles from one second up to the maximum', () => {
    assert.deepEqual([1, 2, 3, 4, 5].map((failures) => backoffMs(failures, 10_000)), [1_000, 2_000, 4_000, 8_000, 10_000]);
  });

  it('stays at the maximum after any number of failures', () => {
    assert.equal(backoffMs(5_000, 60_000), 60_000);
  });

  it('never exceeds a maximum below one second', () => {
    assert.equal(backoffMs(1, 200), 200);
  });

  it('refuses and backs off after a reported failure', () => {
    const after = afterFailure(group(), REPORTED, LIMIT);
    assert.equal(after.backoffUntil, 1_100);
    assert.equal(after.refusalDue, true);
    assert.equal(after.probing, true);
    assert.deepEqual(after.lastError, BOOT_ERROR);
  });

  it('takes a reported failure for one even where a signal ended the process', () => {
    assert.equal(afterFailure(group(), { ...REPORTED, bySignal: true }, LIMIT).failures, 1);
  });

  it('takes a silent exit for a failure of the launch', () => {
    const after = afterFailure(group(), { ...KILLED, bySignal: false }, LIMIT);
    assert.equal(after.lastError?.code, 'CARTON_INSTANCE_LAUNCH_FAILED');
    assert.match(after.lastError?.message ?? '', /function "hello"/);
  });

  it('neither refuses nor backs off for as many signals in a row as may be retried', () => {
    const after = fail(group(), LIMITS.launchRetries, KILLED);
    assert.equal(after.failures, 0);
    assert.equal(after.backoffUntil, 0);
    assert.equal(after.refusalDue, false);
  });

  it('refuses and backs off at one signal more', () => {
    const after = fail(group(), LIMITS.launchRetries + 1, KILLED);
    assert.equal(after.backoffUntil, 1_100);
    assert.equal(after.refusalDue, true);
    assert.match(after.lastError?.message ?? '', new RegExp(`${LIMITS.launchRetries + 1} times in a row`));
  });

  it('backs off without a refusal where another instance is ready', () => {
    const after = afterFailure(group(), { ...REPORTED, othersReady: true }, LIMIT);
    assert.equal(after.refusalDue, false);
    assert.equal(after.backoffUntil, 1_100);
  });

  it('never backs off in development', () => {
    const after = fail(group(), 4, REPORTED, { ...LIMIT, development: true });
    assert.equal(after.backoffUntil, 0);
    assert.equal(after.refusalDue, true);
  });

  it('forgets all of it at the first success', () => {
    const fresh = group();
    assert.deepEqual(withoutFailures(fail(fresh, 5, KILLED)), { ...fresh, wave: 5 });
  });

  it('tells requests of a back-off the last failure and the time that is left', () => {
    const error = backingOffError(afterFailure(group('group:orders'), REPORTED, LIMIT), 700);
    assert.equal(error.code, 'CARTON_INSTANCE_BACKING_OFF');
    assert.equal(error.retryAfterMs, 700);
    assert.match(error.message, /group "orders".*no such module/);
  });
});
