/** Whom the scheduler can do without. */
import assert from 'node:assert/strict';
import { viewGroups, type GroupView } from '../../lib/scheduler/capacity';
import { maySpareSoon, spareInstances, victims } from '../../lib/scheduler/evict';
import * as on from '../../lib/scheduler/transitions';
import type { OwnedHostState } from '../../lib/scheduler/state';
import type { GroupSpec } from '../../lib/spec/types';

/** A host with the instances named in `ready`, each as group and time at which it became ready. */
function host(ready: readonly (readonly [group: string, at: number])[], overrides: Partial<GroupSpec> = {}): OwnedHostState {
  const state = on.initialState({ maxInstances: 20, launchTimeoutMs: 5_000, drainTimeoutMs: 3_000, maxBackoffMs: 60_000, development: false });
  const groups = ['a', 'b', 'c'].map((key) => ({
    key, functions: [key], concurrency: 1, minInstances: 0, maxInstances: 10, idleTimeoutMs: 1_000, ...overrides,
  }));
  on.setGroups(state, { revision: 'r1', groups });
  for (const [group, at] of ready) {
    on.launched(state, { id: `${group}${at}`, group }, 0);
    on.becameReady(state, `${group}${at}`, at);
  }
  return state;
}

const ids = (instances: readonly { readonly id: string }[]): string[] => instances.map(({ id }) => id);
const NONE = new Set<string>();

function view(state: OwnedHostState): GroupView {
  const found = viewGroups(state)[0];
  assert(found);
  return found;
}

describe('scheduler/evict', () => {
  it('spares the least recently used first', () => {
    assert.deepEqual(ids(spareInstances(view(host([['a', 5], ['a', 3], ['a', 4]])))), ['a3', 'a4', 'a5']);
  });

  it('spares none that runs something', () => {
    const state = on.loadReported(host([['a', 3]]), { id: 'a3', inflight: 1, served: 1 }, 6);
    assert.deepEqual(spareInstances(view(state)), []);
  });

  it('spares none below minInstances', () => {
    assert.deepEqual(ids(spareInstances(view(host([['a', 3], ['a', 4]], { minInstances: 1 })))), ['a3']);
  });

  it('spares none while a request of the group waits', () => {
    const state = on.demandChanged(host([['a', 3], ['a', 4]]), { group: 'a', waiting: 1, inflight: 0 }, 6);
    assert.deepEqual(spareInstances(view(state)), []);
  });

  it('spares none that a worker has just sent a request to', () => {
    const state = on.demandChanged(host([['a', 3], ['a', 4]]), { group: 'a', waiting: 0, inflight: 1 }, 6);
    assert.deepEqual(ids(spareInstances(view(state))), ['a3']);
  });

  it('spares none that drains, and does not count it as one that serves', () => {
    const state = on.drainStarted(host([['a', 3], ['a', 4]], { minInstances: 1 }), 'a3', 6);
    assert.deepEqual(spareInstances(view(state)), []);
  });

  it('evicts over all groups, least recently used first, and no more than asked for', () => {
    const views = viewGroups(host([['a', 5], ['b', 2], ['c', 4], ['b', 9]]));
    assert.deepEqual(ids(victims(views, 3, NONE)), ['b2', 'c4', 'a5']);
    assert.deepEqual(victims(views, 0, NONE), []);
    assert.deepEqual(victims(views, -1, NONE), []);
  });

  it('evicts none that leaves anyway', () => {
    assert.deepEqual(ids(victims(viewGroups(host([['a', 5], ['b', 2]])), 1, new Set(['b2']))), ['a5']);
  });

  it('may spare an instance soon that is idle beyond minInstances', () => {
    const waiting = (state: OwnedHostState): OwnedHostState => on.demandChanged(state, { group: 'a', waiting: 1, inflight: 0 }, 6);
    assert.equal(maySpareSoon(view(waiting(host([['a', 3]])))), true);
    assert.equal(maySpareSoon(view(waiting(host([['a', 3]], { minInstances: 1 })))), false);
    assert.equal(maySpareSoon(view(on.loadReported(host([['a', 3]]), { id: 'a3', inflight: 1, served: 1 }, 6))), false);
  });
});
