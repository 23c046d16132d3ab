/** What the scheduler wants done, situation by situation. */
import assert from 'node:assert/strict';
import { decide } from '../../lib/scheduler/decide';
import * as on from '../../lib/scheduler/transitions';
import type { Action, HostLimits, OwnedHostState } from '../../lib/scheduler/state';
import type { GroupSpec } from '../../lib/spec/types';
import { LIMITS } from '../../lib/support/limits';
import type { WireError } from '../../lib/support/errors';

const BOOT_ERROR: WireError = { code: 'CARTON_RUNTIME_LOAD_FAILED', message: 'no such module', status: 500 };

function spec(key: string, overrides: Partial<GroupSpec> = {}): GroupSpec {
  return { key, functions: [key], concurrency: 1, minInstances: 0, maxInstances: 4, idleTimeoutMs: 1_000, ...overrides };
}

function host(groups: readonly GroupSpec[], limits: Partial<HostLimits> = {}): OwnedHostState {
  const state = on.initialState({ maxInstances: 8, launchTimeoutMs: 5_000, drainTimeoutMs: 3_000, maxBackoffMs: 60_000, development: false, ...limits });
  return on.setGroups(state, { revision: 'r1', groups });
}

const waits = (state: OwnedHostState, group: string, waiting: number, now = 0): OwnedHostState =>
  on.demandChanged(state, { group, waiting, inflight: 0 }, now);

/** Adds a ready instance; `busy` ones run an invocation, so do the workers say. */
function ready(state: OwnedHostState, id: string, at: number, busy = false): OwnedHostState {
  const group = id.replace(/\d+$/, '');
  on.becameReady(on.launched(state, { id, group }, at), id, at);
  if (!busy) return state;
  on.loadReported(state, { id, inflight: 1, served: 1 }, at);
  const { waiting, inflight } = state.groups.get(group) ?? { waiting: 0, inflight: 0 };
  return on.demandChanged(state, { group, waiting, inflight: inflight + 1 }, at);
}

/** Actions in brief, in order. */
function brief(actions: readonly Action[]): string[] {
  return actions.map((action) => {
    switch (action.type) {
      case 'launch': return `launch ${action.group}`;
      case 'drain': case 'terminate': return `${action.type} ${action.instance} ${action.reason}`;
      case 'refuse': return `refuse ${action.group} ${action.error.code} ${action.forMs}`;
      case 'wake': return `wake ${action.at}`;
    }
  });
}

/** Carries actions out as the agent does; new instances are named by group and number. */
function carryOut(state: OwnedHostState, now: number): string[] {
  const actions = decide(state, now);
  for (const action of actions) {
    if (action.type === 'launch') on.launched(state, { id: `${action.group}${(serial += 1)}`, group: action.group }, now);
    else if (action.type === 'drain') on.drainStarted(state, action.instance, now);
    else if (action.type === 'terminate') on.terminateStarted(state, action.instance, action.reason);
    else if (action.type === 'refuse') on.refused(state, action.group);
  }
  return brief(actions);
}
let serial = 100;

/** One launch of `group` that fails at `now`. */
function failLaunch(state: OwnedHostState, group: string, now: number): OwnedHostState {
  const id = `${group}${(serial += 1)}`;
  return on.ended(on.launched(state, { id, group }, now), { id, failure: BOOT_ERROR }, now);
}

describe('scheduler/decide', () => {
  it('wants nothing of a host without demand', () => {
    assert.deepEqual(decide(host([spec('a')]), 0), []);
  });

  it('launches once for requests that one instance can take, and waits for the launch', () => {
    const state = waits(host([spec('a', { concurrency: 10 })]), 'a', 7);
    assert.deepEqual(carryOut(state, 0), ['launch a']);
    assert.deepEqual(carryOut(state, 0), ['wake 5000']);
  });

  it('launches instances side by side where one is not enough, up to maxInstances', () => {
    assert.deepEqual(brief(decide(waits(host([spec('a', { maxInstances: 3 })]), 'a', 9), 0)), ['launch a', 'launch a', 'launch a']);
  });

  it('keeps minInstances warm without demand', () => {
    assert.deepEqual(brief(decide(host([spec('a', { minInstances: 2 })]), 0)), ['launch a', 'launch a']);
  });

  describe('idle instances', () => {
    it('drain each after its own idle time', () => {
      const state = ready(ready(host([spec('a')]), 'a1', 100), 'a2', 400);
      assert.deepEqual(carryOut(state, 1_099), ['wake 1100']);
      assert.deepEqual(carryOut(state, 1_100), ['drain a1 idle', 'wake 1400']);
      assert.deepEqual(carryOut(state, 1_100), ['wake 1400']);
      assert.deepEqual(carryOut(state, 1_400), ['drain a2 idle', 'wake 4100']);
    });

    it('stay up to minInstances', () => {
      const state = ready(ready(host([spec('a', { minInstances: 1 })]), 'a1', 100), 'a2', 400);
      assert.deepEqual(carryOut(state, 9_000), ['drain a1 idle']);
      assert.deepEqual(carryOut(state, 9_000), ['wake 12000']);
    });

    it('stay while a request of the group waits', () => {
      const state = waits(ready(host([spec('a')]), 'a1', 100), 'a', 1);
      assert.deepEqual(decide(state, 9_000), []);
    });
  });

  describe('on a full host', () => {
    it('evicts the least recently used idle instance of another group, then launches in its place', () => {
      const state = ready(ready(host([spec('a'), spec('b'), spec('c')], { maxInstances: 2 }), 'a1', 200), 'b1', 100);
      waits(state, 'c', 1, 300);
      assert.deepEqual(carryOut(state, 300), ['drain b1 evicted', 'wake 1200']);
      assert.deepEqual(carryOut(state, 300), ['wake 1200']);
      on.ended(state, { id: 'b1' }, 310);
      assert.deepEqual(carryOut(state, 310), ['launch c', 'wake 1200']);
    });

    it('evicts no more than the places that are missing', () => {
      const state = ready(ready(host([spec('a'), spec('b')], { maxInstances: 3 }), 'a1', 1), 'a2', 2);
      assert.deepEqual(brief(decide(waits(state, 'b', 2, 3), 3)), ['launch b', 'drain a1 evicted', 'wake 1002']);
    });

    it('evicts another rather than wait for a busy one to drain', () => {
      const state = ready(ready(host([spec('a'), spec('b')], { maxInstances: 2 }), 'a1', 1, true), 'a2', 2);
      on.drainStarted(state, 'a1', 3);
      on.demandChanged(state, { group: 'a', waiting: 0, inflight: 1 }, 3);
      assert.deepEqual(brief(decide(waits(state, 'b', 1, 3), 3)), ['drain a2 evicted', 'wake 3003']);
    });

    it('waits for a place while an instance launches or drains', () => {
      const launching = on.launched(host([spec('a'), spec('b')], { maxInstances: 1 }), { id: 'a1', group: 'a' }, 0);
      assert.deepEqual(brief(decide(waits(launching, 'b', 1), 0)), ['wake 5000']);
      const draining = on.drainStarted(ready(host([spec('a'), spec('b')], { maxInstances: 1 }), 'a1', 0, true), 'a1', 0);
      assert.deepEqual(brief(decide(waits(draining, 'b', 1), 0)), ['wake 3000']);
    });

    it('waits for an idle instance that is kept for the requests of its own group only', () => {
      const state = waits(waits(ready(host([spec('a'), spec('b')], { maxInstances: 1 }), 'a1', 0), 'a', 1), 'b', 1);
      assert.deepEqual(decide(state, 1), []);
    });

    it('refuses a group without an instance when all others are busy, once', () => {
      const state = waits(ready(host([spec('a'), spec('b')], { maxInstances: 1 }), 'a1', 0, true), 'b', 2);
      const action = decide(state, 0)[0];
      assert(action?.type === 'refuse');
      assert.equal(action.error.retryAfterMs, 1_000);
      assert.deepEqual(carryOut(state, 0), ['refuse b CARTON_SCHEDULER_HOST_FULL 0']);
      assert.deepEqual(carryOut(state, 0), []);
    });

    it('refuses when the idle instances are all kept for minInstances', () => {
      const state = waits(ready(host([spec('a', { minInstances: 1 }), spec('b')], { maxInstances: 1 }), 'a1', 0), 'b', 1);
      assert.deepEqual(brief(decide(state, 0)), ['refuse b CARTON_SCHEDULER_HOST_FULL 0']);
    });

    it('lets requests of a group with an instance wait', () => {
      const state = ready(host([spec('a')], { maxInstances: 1 }), 'a1', 0, true);
      assert.deepEqual(decide(on.demandChanged(state, { group: 'a', waiting: 3, inflight: 1 }, 1), 1), []);
    });

    it('gives the last place to the group that has none, then to the one that waits longest', () => {
      const state = ready(host([spec('a'), spec('b'), spec('c', { minInstances: 1 }), spec('d')], { maxInstances: 2 }), 'a1', 0, true);
      on.demandChanged(state, { group: 'a', waiting: 1, inflight: 1 }, 1);
      waits(state, 'b', 1, 3);
      waits(state, 'd', 1, 2);
      assert.deepEqual(brief(decide(state, 4)), ['launch d']);
    });
  });

  describe('deadlines', () => {
    it('terminate a late launch, and refuse once its end is known', () => {
      const state = waits(host([spec('a')]), 'a', 1);
      on.launched(state, { id: 'a1', group: 'a' }, 0);
      assert.deepEqual(carryOut(state, 4_999), ['wake 5000']);
      assert.deepEqual(carryOut(state, 5_000), ['terminate a1 launch-timeout']);
      assert.deepEqual(carryOut(state, 5_000), []);
      on.ended(state, { id: 'a1', bySignal: true }, 5_010);
      assert.deepEqual(carryOut(state, 5_010), ['refuse a CARTON_INSTANCE_LAUNCH_TIMEOUT 0', 'refuse a CARTON_INSTANCE_BACKING_OFF 1000']);
      assert.deepEqual(carryOut(state, 5_010), []);
    });

    it('terminate a late drain', () => {
      const state = on.drainStarted(ready(host([spec('a')]), 'a1', 0, true), 'a1', 0);
      assert.deepEqual(carryOut(state, 3_000), ['terminate a1 drain-timeout']);
      assert.deepEqual(carryOut(state, 3_000), []);
    });
  });

  it('terminates an unresponsive instance and launches another for those that wait', () => {
    const state = on.markUnresponsive(ready(host([spec('a')]), 'a1', 0, true), 'a1');
    waits(state, 'a', 1);
    assert.deepEqual(carryOut(state, 1), ['terminate a1 unresponsive', 'launch a']);
  });

  describe('after a failure', () => {
    it('launches again at once after a signal, then refuses', () => {
      const state = waits(host([spec('a')]), 'a', 1);
      for (let tries = 0; tries <= LIMITS.launchRetries; tries += 1) {
        assert.deepEqual(carryOut(state, 0), ['launch a']);
        on.ended(state, { id: `a${serial}`, bySignal: true }, 0);
      }
      assert.deepEqual(carryOut(state, 0).slice(0, 1), ['refuse a CARTON_INSTANCE_LAUNCH_FAILED 0']);
    });

    it('tells those that wait the failure and those that come later the back-off', () => {
      const state = failLaunch(waits(host([spec('a')]), 'a', 3), 'a', 100);
      const [first, second] = decide(state, 100);
      assert(first?.type === 'refuse' && second?.type === 'refuse');
      assert.deepEqual(first.error, { ...BOOT_ERROR, retryAfterMs: 1_000 });
      assert.deepEqual([second.error.code, second.error.retryAfterMs, second.forMs], ['CARTON_INSTANCE_BACKING_OFF', 1_000, 1_000]);
      assert.match(second.error.message, /no such module/);
    });

    it('announces the back-off even where nobody waits', () => {
      const state = failLaunch(host([spec('a')]), 'a', 0);
      assert.deepEqual(carryOut(state, 0), ['refuse a CARTON_RUNTIME_LOAD_FAILED 0', 'refuse a CARTON_INSTANCE_BACKING_OFF 1000']);
    });

    it('launches nothing in the back-off and refuses for what is left of it', () => {
      const state = failLaunch(host([spec('a')]), 'a', 0);
      carryOut(state, 0);
      waits(state, 'a', 1, 400);
      assert.equal(carryOut(state, 400)[0], 'refuse a CARTON_INSTANCE_BACKING_OFF 600');
      assert.deepEqual(carryOut(state, 400), []);
    });

    it('launches one instance only after the back-off, until one was ready', () => {
      const state = failLaunch(host([spec('a')]), 'a', 0);
      carryOut(state, 0);
      waits(state, 'a', 3, 1_000);
      assert.deepEqual(carryOut(state, 1_000), ['launch a']);
      assert.deepEqual(carryOut(state, 1_000), ['wake 6000']);
      on.becameReady(state, `a${serial}`, 1_050);
      assert.deepEqual(carryOut(state, 1_050), ['launch a', 'launch a']);
    });

    it('doubles the back-off until an instance begins an invocation', () => {
      const state = host([spec('a')]);
      for (const [at, until] of [[0, 1_000], [1_000, 3_000], [3_000, 7_000]] as const) {
        failLaunch(state, 'a', at);
        assert.equal(state.groups.get('a')?.backoffUntil, until);
      }
      ready(state, 'a1', 7_000, true);
      failLaunch(state, 'a', 8_000);
      assert.equal(state.groups.get('a')?.backoffUntil, 9_000);
    });

    it('wakes for minInstances at the end of the back-off', () => {
      const state = failLaunch(host([spec('a', { minInstances: 1 })]), 'a', 0);
      assert.deepEqual(carryOut(state, 0).at(-1), 'wake 1000');
      assert.deepEqual(carryOut(state, 1_000), ['launch a']);
    });

    it('refuses nobody while another instance of the group is ready or launching', () => {
      const state = host([spec('a')]);
      on.launched(state, { id: 'a1', group: 'a' }, 0);
      failLaunch(waits(state, 'a', 2), 'a', 0);
      assert.deepEqual(carryOut(state, 0), ['wake 5000']);
      on.becameReady(state, 'a1', 10);
      assert.deepEqual(carryOut(state, 10), ['wake 1000']);
    });

    it('refuses once the last instance launched beside it has failed too', () => {
      const state = host([spec('a')]);
      on.launched(state, { id: 'a1', group: 'a' }, 0);
      failLaunch(waits(state, 'a', 2), 'a', 0);
      on.ended(state, { id: 'a1', failure: BOOT_ERROR }, 20);
      assert.deepEqual(carryOut(state, 20).slice(0, 2), ['refuse a CARTON_RUNTIME_LOAD_FAILED 0', 'refuse a CARTON_INSTANCE_BACKING_OFF 980']);
    });
  });

  describe('in development', () => {
    it('refuses once without a back-off, and launches for the next demand', () => {
      const state = failLaunch(waits(host([spec('a')], { development: true }), 'a', 1), 'a', 0);
      assert.deepEqual(carryOut(state, 0), ['refuse a CARTON_RUNTIME_LOAD_FAILED 0']);
      assert.deepEqual(carryOut(state, 0), []);
      assert.deepEqual(carryOut(waits(state, 'a', 1, 5), 5), ['launch a']);
    });

    it('holds minInstances back after a failure until files change', () => {
      const state = failLaunch(host([spec('a', { minInstances: 1 })], { development: true }), 'a', 0);
      carryOut(state, 0);
      assert.deepEqual(carryOut(state, 0), []);
      assert.deepEqual(carryOut(on.filesChanged(state), 1), ['launch a']);
    });
  });

  describe('with a new revision', () => {
    it('drains ready instances, terminates launching ones and launches anew for those that wait', () => {
      const state = on.launched(ready(host([spec('a')]), 'a1', 0), { id: 'a2', group: 'a' }, 0);
      on.setGroups(waits(state, 'a', 1), { revision: 'r2', groups: [spec('a')] });
      assert.deepEqual(carryOut(state, 1), ['drain a1 revision', 'terminate a2 revision', 'launch a']);
      assert.deepEqual(carryOut(state, 1), ['wake 3001']);
    });

    it('drains instances of groups that are gone, and adopted ones of another revision', () => {
      const state = on.setGroups(ready(host([spec('a')]), 'a1', 0), { revision: 'r1', groups: [spec('b')] });
      on.adopted(state, { id: 'b1', group: 'b', revision: 'r0', inflight: 0, draining: false }, 0);
      assert.deepEqual(carryOut(state, 1), ['drain a1 revision', 'drain b1 revision']);
    });
  });

  it('drains each instance once when the host closes, however long it was idle', () => {
    assert.deepEqual(brief(decide(on.closing(ready(host([spec('a')]), 'a1', 0)), 9_000)), ['drain a1 closing']);
  });

  it('refuses nobody when the host closes: the ingress does', () => {
    const state = failLaunch(waits(host([spec('a')]), 'a', 1), 'a', 0);
    assert.deepEqual(decide(on.closing(state), 0), []);
  });

  it('drains all and launches nothing when the host closes', () => {
    const state = on.launched(ready(host([spec('a', { minInstances: 3 })]), 'a1', 0), { id: 'a2', group: 'a' }, 0);
    on.closing(waits(state, 'a', 2));
    assert.deepEqual(carryOut(state, 1), ['drain a1 closing', 'terminate a2 closing']);
    assert.deepEqual(carryOut(state, 1), ['wake 3001']);
  });
});
