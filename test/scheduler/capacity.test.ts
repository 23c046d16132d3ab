/** How many instances a group needs and may launch, and how many more the host can hold. */
import assert from 'node:assert/strict';
import { hostRoom, launchesWanted, neededInstances, viewGroups, type GroupView } from '../../lib/scheduler/capacity';
import * as on from '../../lib/scheduler/transitions';
import type { OwnedHostState } from '../../lib/scheduler/state';
import type { GroupSpec } from '../../lib/spec/types';

interface Scene extends Partial<GroupSpec> {
  readonly waiting?: number;
  readonly running?: number;
  readonly ready?: number;
  readonly launching?: number;
}

/** A host with group `a` as the scene has it. */
function host(scene: Scene): OwnedHostState {
  const { waiting = 0, running = 0, ready = 0, launching = 0, ...overrides } = scene;
  const spec: GroupSpec = { key: 'a', functions: ['a'], concurrency: 1, minInstances: 0, maxInstances: 10, idleTimeoutMs: 1_000, ...overrides };
  const state = on.initialState({ maxInstances: 20, launchTimeoutMs: 5_000, drainTimeoutMs: 3_000, maxBackoffMs: 60_000, development: false });
  on.setGroups(state, { revision: 'r1', groups: [spec] });
  for (let count = 0; count < ready + launching; count += 1) on.launched(state, { id: String(count), group: 'a' }, 0);
  for (let count = 0; count < ready; count += 1) on.becameReady(state, String(count), 1);
  return on.demandChanged(state, { group: 'a', waiting, inflight: running }, 2);
}

function view(state: OwnedHostState): GroupView {
  const found = viewGroups(state)[0];
  assert(found);
  return found;
}

const wanted = (scene: Scene): number => {
  const state = host(scene);
  return launchesWanted(state, view(state), 2);
};

describe('scheduler/capacity', () => {
  it('wants one launch for any number of requests within the concurrency', () => {
    assert.equal(wanted({ concurrency: 10, waiting: 1 }), 1);
    assert.equal(wanted({ concurrency: 10, waiting: 10 }), 1);
    assert.equal(wanted({ concurrency: 10, waiting: 11 }), 2);
  });

  it('counts what runs along with what waits', () => {
    assert.equal(wanted({ concurrency: 10, waiting: 4, running: 7, ready: 1 }), 1);
    assert.equal(wanted({ concurrency: 10, waiting: 3, running: 7, ready: 1 }), 0);
  });

  it('counts launches under way', () => {
    assert.equal(wanted({ waiting: 3, launching: 2 }), 1);
    assert.equal(wanted({ waiting: 2, launching: 2 }), 0);
  });

  it('launches for those that wait only, however much runs', () => {
    assert.equal(wanted({ running: 5, ready: 3 }), 0);
    assert.equal(wanted({ running: 5, ready: 3, waiting: 1 }), 1);
    assert.equal(wanted({ running: 5, ready: 3, waiting: 1, launching: 1 }), 0);
  });

  it('stops at maxInstances', () => {
    assert.equal(wanted({ waiting: 100, maxInstances: 3, ready: 1 }), 2);
  });

  it('wants minInstances without any demand', () => {
    assert.equal(wanted({ minInstances: 2, launching: 1 }), 1);
  });

  it('needs no place for what runs in instances that drain', () => {
    const state = host({ concurrency: 1, running: 5, waiting: 1, ready: 1 });
    on.loadReported(state, { id: '0', inflight: 5, served: 5 }, 3);
    on.drainStarted(state, '0', 3);
    const drained = view(state);
    assert.equal(neededInstances(drained.group, drained.tally), 1);
    assert.equal(launchesWanted(state, drained, 4), 1);
  });

  it('does not count outdated and unresponsive instances as serving', () => {
    const state = host({ waiting: 1, ready: 2 });
    on.markUnresponsive(state, '0');
    assert.equal(view(state).tally.ready, 1);
    on.setGroups(state, { revision: 'r2', groups: [view(state).group.spec] });
    assert.equal(view(state).tally.ready, 0);
  });

  it('counts an instance killed for a late launch as launching until its end is known', () => {
    const state = on.terminateStarted(host({ waiting: 1, launching: 1 }), '0', 'launch-timeout');
    assert.equal(view(state).tally.launching, 1);
    assert.equal(launchesWanted(state, view(state), 5_001), 0);
  });

  it('looks at no group that has neither instances nor demand', () => {
    assert.equal(viewGroups(host({})).length, 0);
    assert.equal(viewGroups(host({ minInstances: 1 })).length, 1);
  });

  it('has room up to the host\'s limit, whatever phase the instances are in, and never less than none', () => {
    const state = host({ ready: 4, launching: 1 });
    on.drainStarted(state, '0', 3);
    on.terminateStarted(state, '1', 'unresponsive');
    assert.equal(hostRoom(state), 15);
    for (let count = 5; count < 25; count += 1) {
      on.adopted(state, { id: String(count), group: 'a', revision: 'r1', inflight: 0, draining: false }, 3);
    }
    assert.equal(hostRoom(state), 0);
  });
});
