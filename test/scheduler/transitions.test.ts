/** What each event does to the scheduler's state. */
import assert from 'node:assert/strict';
import * as on from '../../lib/scheduler/transitions';
import type { GroupState, HostLimits, InstanceState, OwnedHostState } from '../../lib/scheduler/state';
import type { GroupSpec } from '../../lib/spec/types';
import type { WireError } from '../../lib/support/errors';

const LIMIT: HostLimits = { maxInstances: 8, launchTimeoutMs: 5_000, drainTimeoutMs: 3_000, maxBackoffMs: 60_000, development: false };
const BOOT_ERROR: WireError = { code: 'CARTON_RUNTIME_LOAD_FAILED', message: 'no such module', status: 500 };

function spec(key: string, overrides: Partial<GroupSpec> = {}): GroupSpec {
  return { key, functions: [key], concurrency: 1, minInstances: 0, maxInstances: 4, idleTimeoutMs: 1_000, ...overrides };
}

function host(...keys: string[]): OwnedHostState {
  return on.setGroups(on.initialState(LIMIT), { revision: 'r1', groups: keys.map((key) => spec(key)) });
}

function group(state: OwnedHostState, key = 'a'): GroupState {
  const found = state.groups.get(key);
  assert(found);
  return found;
}

function instance(state: OwnedHostState, id = '1'): InstanceState {
  const found = state.instances.get(id);
  assert(found);
  return found;
}

/** A host with group `a` and one instance of it, ready at 10. */
function withReady(): OwnedHostState {
  return on.becameReady(on.launched(host('a'), { id: '1', group: 'a' }, 0), '1', 10);
}

describe('scheduler/transitions', () => {
  describe('setGroups', () => {
    it('keeps demand and failures where the revision stays', () => {
      const state = on.demandChanged(host('a'), { group: 'a', waiting: 2, inflight: 1 }, 5);
      on.launched(state, { id: '1', group: 'a' }, 5);
      on.ended(state, { id: '1', failure: BOOT_ERROR }, 6);
      on.setGroups(state, { revision: 'r1', groups: [spec('a', { concurrency: 9 })] });
      assert.equal(group(state).spec.concurrency, 9);
      assert.equal(group(state).waiting, 2);
      assert.equal(group(state).failures, 1);
    });

    it('forgets failures but not demand with a new revision', () => {
      const state = on.demandChanged(host('a'), { group: 'a', waiting: 2, inflight: 1 }, 5);
      on.launched(state, { id: '1', group: 'a' }, 5);
      on.ended(state, { id: '1', failure: BOOT_ERROR }, 6);
      on.setGroups(state, { revision: 'r2', groups: [spec('a')] });
      const { waiting, failures, backoffUntil, refusalDue } = group(state);
      assert.deepEqual({ waiting, failures, backoffUntil, refusalDue }, { waiting: 2, failures: 0, backoffUntil: 0, refusalDue: false });
    });

    it('drops groups that are gone and keeps their instances until they have ended', () => {
      const state = on.setGroups(withReady(), { revision: 'r1', groups: [spec('b')] });
      assert.deepEqual([...state.groups.keys()], ['b']);
      assert.equal(instance(state).phase, 'ready');
    });
  });

  describe('demandChanged', () => {
    it('remembers since when requests wait without a break', () => {
      const state = host('a');
      for (const [waiting, now] of [[1, 10], [3, 20], [1, 30]] as const) on.demandChanged(state, { group: 'a', waiting, inflight: 0 }, now);
      assert.equal(group(state).waitingSince, 10);
      on.demandChanged(state, { group: 'a', waiting: 0, inflight: 0 }, 40);
      on.demandChanged(state, { group: 'a', waiting: 1, inflight: 0 }, 50);
      assert.equal(group(state).waitingSince, 50);
    });

    it('ignores groups that are gone', () => {
      assert.equal(on.demandChanged(host('a'), { group: 'gone', waiting: 1, inflight: 0 }, 0).groups.size, 1);
    });
  });

  it('gives a launch until launchTimeoutMs, and a ready instance no deadline', () => {
    const state = on.launched(host('a'), { id: '1', group: 'a' }, 100);
    assert.equal(instance(state).phaseDeadline, 5_100);
    on.becameReady(state, '1', 200);
    assert.equal(instance(state).phaseDeadline, Infinity);
    assert.equal(instance(state).idleSince, 200);
  });

  describe('adopted', () => {
    it('takes an instance over as ready, or as draining with a deadline', () => {
      const state = host('a');
      on.adopted(state, { id: '1', group: 'a', revision: 'r1', inflight: 2, draining: false }, 7);
      on.adopted(state, { id: '2', group: 'a', revision: 'r1', inflight: 0, draining: true }, 7);
      assert.deepEqual([instance(state, '1').phase, instance(state, '1').inflight], ['ready', 2]);
      assert.deepEqual([instance(state, '2').phase, instance(state, '2').phaseDeadline], ['draining', 3_007]);
    });

    it('counts no failure when an adopted instance ends', () => {
      const state = on.adopted(host('a'), { id: '1', group: 'a', revision: 'r1', inflight: 0, draining: false }, 7);
      assert.equal(group(on.ended(state, { id: '1' }, 8)).failures, 0);
    });

    it('ignores an instance that is known already', () => {
      const state = on.adopted(withReady(), { id: '1', group: 'a', revision: 'r0', inflight: 5, draining: true }, 7);
      assert.equal(instance(state).phase, 'ready');
    });
  });

  describe('loadReported', () => {
    it('counts idle time from the change to no invocation', () => {
      const state = withReady();
      on.loadReported(state, { id: '1', inflight: 1, served: 1 }, 100);
      on.loadReported(state, { id: '1', inflight: 0, served: 1 }, 300);
      on.loadReported(state, { id: '1', inflight: 0, served: 1 }, 900);
      assert.equal(instance(state).idleSince, 300);
    });

    it('sees an invocation that came and went between two reports', () => {
      const state = on.loadReported(withReady(), { id: '1', inflight: 0, served: 1 }, 300);
      assert.equal(instance(state).idleSince, 300);
    });

    it('forgets failures at the first invocation of an instance, not at later ones', () => {
      const state = withReady();
      on.launched(state, { id: '2', group: 'a' }, 20);
      on.ended(state, { id: '2', failure: BOOT_ERROR }, 30);
      on.loadReported(state, { id: '1', inflight: 1, served: 1 }, 40);
      assert.equal(group(state).failures, 0);
      on.launched(state, { id: '3', group: 'a' }, 50);
      on.ended(state, { id: '3', failure: BOOT_ERROR }, 60);
      on.loadReported(state, { id: '1', inflight: 0, served: 2 }, 70);
      assert.equal(group(state).failures, 1);
    });
  });

  it('sets the deadline of a drain once', () => {
    const state = on.drainStarted(withReady(), '1', 100);
    on.drainStarted(state, '1', 900);
    on.retired(state, '1', 950);
    assert.equal(instance(state).phaseDeadline, 3_100);
  });

  it('treats an instance that retires for changed files as draining', () => {
    assert.equal(instance(on.retired(withReady(), '1', 100)).phase, 'draining');
  });

  it('keeps a killed instance until its end is known', () => {
    const state = on.terminateStarted(withReady(), '1', 'unresponsive');
    assert.equal(instance(state).phase, 'terminating');
    assert.equal(on.ended(state, { id: '1', bySignal: true }, 20).instances.size, 0);
  });

  it('lets nothing bring a terminating instance back', () => {
    const state = on.terminateStarted(on.launched(host('a'), { id: '1', group: 'a' }, 0), '1', 'launch-timeout');
    on.becameReady(state, '1', 5);
    on.drainStarted(state, '1', 6);
    on.terminateStarted(state, '1', 'closing');
    assert.equal(instance(state).terminatedFor, 'launch-timeout');
  });

  it('ignores events of instances that have ended', () => {
    const state = host('a');
    const before = structuredClone(state);
    on.becameReady(state, 'x', 1);
    on.loadReported(state, { id: 'x', inflight: 1, served: 1 }, 1);
    on.drainStarted(state, 'x', 1);
    on.markUnresponsive(state, 'x');
    on.terminateStarted(state, 'x', 'unresponsive');
    on.ended(state, { id: 'x', failure: BOOT_ERROR }, 1);
    on.refused(state, 'gone');
    assert.deepEqual(state, before);
  });

  describe('ended', () => {
    const failuresAfter = (prepare: (state: OwnedHostState) => void, end: Partial<on.InstanceEnd> = { failure: BOOT_ERROR }): number => {
      const state = on.launched(host('a'), { id: '1', group: 'a' }, 0);
      prepare(state);
      return group(on.ended(state, { id: '1', ...end }, 50)).failures;
    };

    it('counts an end while launching', () => assert.equal(failuresAfter(() => undefined), 1));

    it('counts the end of a ready instance that has begun nothing', () => {
      assert.equal(failuresAfter((state) => on.becameReady(state, '1', 1)), 1);
    });

    it('counts no end of an instance that has begun an invocation', () => {
      assert.equal(failuresAfter((state) => {
        on.becameReady(state, '1', 1);
        on.loadReported(state, { id: '1', inflight: 1, served: 1 }, 2);
      }), 0);
    });

    it('believes a begin record that knows of more than the last report', () => {
      assert.equal(failuresAfter((state) => on.becameReady(state, '1', 1), { bySignal: false, served: 1 }), 0);
    });

    it('counts no end that was asked for', () => {
      assert.equal(failuresAfter((state) => {
        on.becameReady(state, '1', 1);
        on.drainStarted(state, '1', 2);
      }, {}), 0);
      assert.equal(failuresAfter((state) => on.terminateStarted(state, '1', 'revision')), 0);
      assert.equal(failuresAfter((state) => on.closing(state)), 0);
    });

    it('counts no end of an unresponsive instance: it was handed an invocation', () => {
      assert.equal(failuresAfter((state) => {
        on.becameReady(state, '1', 1);
        on.markUnresponsive(state, '1');
        on.terminateStarted(state, '1', 'unresponsive');
      }), 0);
      assert.equal(failuresAfter((state) => {
        on.becameReady(state, '1', 1);
        on.markUnresponsive(state, '1');
      }), 0);
    });

    it('counts no end of an outdated instance', () => {
      assert.equal(failuresAfter((state) => on.setGroups(state, { revision: 'r2', groups: [spec('a')] })), 0);
    });

    it('counts a launch timeout with its own error, though a signal ended the process', () => {
      const state = on.launched(host('a'), { id: '1', group: 'a' }, 0);
      on.terminateStarted(state, '1', 'launch-timeout');
      on.ended(state, { id: '1', bySignal: true }, 5_001);
      assert.equal(group(state).lastError?.code, 'CARTON_INSTANCE_LAUNCH_TIMEOUT');
      assert.equal(group(state).backoffUntil, 6_001);
    });

    it('calls for a refusal unless another instance is ready and responsive', () => {
      const refusalDue = (prepare: (state: OwnedHostState) => void): boolean => {
        const state = on.launched(withReady(), { id: '2', group: 'a' }, 20);
        prepare(state);
        return group(on.ended(state, { id: '2', failure: BOOT_ERROR }, 30)).refusalDue;
      };
      assert.equal(refusalDue(() => undefined), false);
      assert.equal(refusalDue((state) => on.markUnresponsive(state, '1')), true);
      assert.equal(refusalDue((state) => on.drainStarted(state, '1', 25)), true);
    });

    it('counts instances that were launched together as one failure', () => {
      const state = host('a');
      for (const id of ['1', '2', '3']) on.launched(state, { id, group: 'a' }, 0);
      for (const id of ['1', '2', '3']) on.ended(state, { id, failure: BOOT_ERROR }, 0);
      assert.equal(group(state).failures, 1);
      on.launched(state, { id: '4', group: 'a' }, 0);
      on.ended(state, { id: '4', failure: BOOT_ERROR }, 0);
      assert.equal(group(state).failures, 2);
    });
  });

  it('ends probing when an instance launched since the failure is ready, not at an earlier one', () => {
    const state = host('a');
    for (const id of ['1', '2']) on.launched(state, { id, group: 'a' }, 0);
    on.ended(state, { id: '1', failure: BOOT_ERROR }, 1);
    on.becameReady(state, '2', 2);
    assert.deepEqual([group(state).probing, group(state).refusalDue], [true, false]);
    on.launched(state, { id: '3', group: 'a' }, 1_500);
    on.becameReady(state, '3', 1_600);
    assert.equal(group(state).probing, false);
  });

  it('takes refused requests out of the demand', () => {
    const state = on.demandChanged(host('a'), { group: 'a', waiting: 3, inflight: 0 }, 0);
    on.launched(state, { id: '1', group: 'a' }, 0);
    on.ended(state, { id: '1', failure: BOOT_ERROR }, 1);
    on.refused(state, 'a');
    assert.deepEqual([group(state).waiting, group(state).waitingSince, group(state).refusalDue], [0, Infinity, false]);
  });

  it('forgets failures when files changed', () => {
    const state = on.launched(host('a'), { id: '1', group: 'a' }, 0);
    on.ended(state, { id: '1', failure: BOOT_ERROR }, 1);
    on.filesChanged(state);
    assert.deepEqual([group(state).failures, group(state).backoffUntil, group(state).refusalDue], [0, 0, false]);
  });

  it('replaces records, so that one read before an event stays as it was', () => {
    const state = withReady();
    const [one, its] = [instance(state), group(state)];
    on.loadReported(state, { id: '1', inflight: 3, served: 3 }, 20);
    on.demandChanged(state, { group: 'a', waiting: 3, inflight: 3 }, 20);
    assert.deepEqual([one.inflight, its.waiting], [0, 0]);
  });
});
