/**
 * What holds over any history: a small model of a host (workers with demand, processes that become ready, serve, die
 * and answer late) is driven by random events, and each decision is checked. In a second part nothing dies any more,
 * and every group that waits must get an instance or a refusal.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decide } from '../../lib/scheduler/decide';
import * as on from '../../lib/scheduler/transitions';
import type { Action, GroupState, HostState, InstanceState, OwnedHostState } from '../../lib/scheduler/state';
import type { GroupSpec } from '../../lib/spec/types';
import type { WireError } from '../../lib/support/errors';

/** `CARTON_PROPERTY_RUNS` asks for more than the usual run has time for. */
const HISTORIES = Number(process.env.CARTON_PROPERTY_RUNS ?? 20_000);
const BOOT_ERROR: WireError = { code: 'CARTON_RUNTIME_LOAD_FAILED', message: 'no such module', status: 500 };
const TIMES = { launchTimeoutMs: 500, drainTimeoutMs: 300, maxBackoffMs: 4_000 };

/** A choice out of one random number: `pick(n)` takes a digit of base n. */
class Choice {
  constructor(private rest: number) {}

  pick(count: number): number {
    const digit = this.rest % count;
    this.rest = Math.floor(this.rest / count);
    return digit;
  }

  of<T>(items: readonly T[]): T | undefined {
    return items.length === 0 ? undefined : items[this.pick(items.length)];
  }
}

class Model {
  now = 1_000;
  readonly state: OwnedHostState;
  /** Requests that wait, as the workers know and report. */
  readonly waiting = new Map<string, number>();
  private serial = 0;
  private revision = 1;
  private failures = 0;
  private told = 0;
  /** Groups that had a ready instance or a refusal since the set was cleared. */
  readonly answered = new Set<string>();

  constructor(private readonly specs: readonly GroupSpec[], maxInstances: number, development: boolean) {
    this.state = on.initialState({ ...TIMES, maxInstances, development });
    on.setGroups(this.state, { revision: 'r1', groups: specs });
  }

  instances(phase: InstanceState['phase']): InstanceState[] {
    return [...this.state.instances.values()].filter((instance) => instance.phase === phase);
  }

  serving(group: string): InstanceState[] {
    return this.instances('ready').filter((instance) => instance.group === group && instance.revision === this.state.revision && !instance.unresponsive);
  }

  /** Decides and carries out until only `wake` is left, checking each step. Returns when to wake. */
  settle(): number {
    const actions = this.checkedDecide();
    for (const action of actions) this.carryOut(action);
    const again = this.checkedDecide();
    assert(again.every(({ type }) => type === 'wake'), `settled after one round, got ${JSON.stringify(again)}`);
    assert(again.length <= 1);
    const wake = again[0]?.type === 'wake' ? again[0].at : Infinity;
    assert(wake > this.now, 'wakes in the future');
    return wake;
  }

  private checkedDecide(): Action[] {
    seal(this.state);
    const frozen = Object.freeze({ ...this.state });
    const actions = decide(frozen, this.now);
    const again = decide(frozen, this.now);
    unseal(this.state);
    assert.equal(JSON.stringify(again), JSON.stringify(actions), 'the same state gives the same actions');
    assert(actions.slice(0, -1).every(({ type }) => type !== 'wake'), 'wake comes last');
    return actions;
  }

  private carryOut(action: Action): void {
    if (action.type === 'launch') this.launch(action.group);
    else if (action.type === 'drain') this.drain(action.instance, action.reason);
    else if (action.type === 'terminate') on.terminateStarted(this.state, action.instance, action.reason);
    else if (action.type === 'refuse') this.refuse(action.group, action.error);
  }

  private launch(key: string): void {
    const group = this.state.groups.get(key);
    assert(group);
    assert(!this.state.closing, 'launches nothing while closing');
    assert(this.now >= group.backoffUntil, 'launches nothing in a back-off');
    const supply = this.supply(key);
    assert(group.waiting > 0 || supply < group.spec.minInstances, 'launches nothing for nobody');
    assert(supply < group.spec.maxInstances, 'exceeds no maxInstances of a group');
    assert(this.state.instances.size < this.state.maxInstances, 'exceeds no maxInstances of the host');
    const launching = this.instances('launching').filter((instance) => instance.group === key && instance.revision === this.state.revision);
    assert(!group.probing || launching.length === 0, 'launches one at a time after a failure');
    on.launched(this.state, { id: `i${(this.serial += 1)}`, group: key }, this.now);
  }

  private supply(key: string): number {
    return this.serving(key).length + this.instances('launching').filter(({ group, revision, unresponsive }) =>
      group === key && revision === this.state.revision && !unresponsive).length;
  }

  private drain(id: string, reason: string): void {
    const instance = this.state.instances.get(id);
    assert(instance?.phase === 'ready', 'drains ready instances only');
    const group = this.state.groups.get(instance.group);
    if (reason === 'idle' || reason === 'evicted') {
      assert(instance.inflight === 0 && group?.waiting === 0, 'takes idle instances only');
      assert(this.serving(instance.group).length > group.spec.minInstances, 'keeps minInstances');
      assert(reason === 'evicted' || this.now - instance.idleSince >= group.spec.idleTimeoutMs, 'reclaims after the idle time');
    }
    on.drainStarted(this.state, id, this.now);
  }

  private refuse(key: string, error: WireError): void {
    if (error.code === 'CARTON_SCHEDULER_HOST_FULL') {
      assert(this.instances('ready').length === this.state.instances.size, 'refuses for a full host only when nothing comes or goes');
      assert(this.state.instances.size >= this.state.maxInstances);
    } else if (error.code !== 'CARTON_INSTANCE_BACKING_OFF') {
      assert((this.told += 1) <= this.failures, 'tells a failure once');
    }
    assert.equal(this.supply(key), 0, 'refuses no group that can serve');
    on.refused(this.state, key);
    this.waiting.set(key, 0);
    this.answered.add(key);
  }

  /** A worker tells its demand: what waits, and what runs in this group's instances. */
  report(key: string): void {
    let inflight = 0;
    for (const instance of this.state.instances.values()) if (instance.group === key) inflight += instance.inflight;
    on.demandChanged(this.state, { group: key, waiting: this.waiting.get(key) ?? 0, inflight }, this.now);
  }

  arrive(key: string, count: number): void {
    this.waiting.set(key, (this.waiting.get(key) ?? 0) + count);
    this.report(key);
  }

  ready(id: string): void {
    on.becameReady(this.state, id, this.now);
    const group = this.state.instances.get(id)?.group;
    if (group !== undefined && this.serving(group).length > 0) this.answered.add(group);
  }

  /** The instance takes as many waiting requests as it may; whether the worker tells at once is chance. */
  serve(instance: InstanceState, tellsAtOnce: boolean): void {
    const group = this.state.groups.get(instance.group);
    const waiting = this.waiting.get(instance.group) ?? 0;
    const taken = Math.min(waiting, (group?.spec.concurrency ?? 0) - instance.inflight);
    if (taken <= 0) return;
    this.waiting.set(instance.group, waiting - taken);
    on.loadReported(this.state, { id: instance.id, inflight: instance.inflight + taken, served: instance.served + taken }, this.now);
    if (tellsAtOnce) this.report(instance.group);
  }

  finish(instance: InstanceState, tellsAtOnce: boolean): void {
    on.loadReported(this.state, { id: instance.id, inflight: 0, served: instance.served }, this.now);
    if (tellsAtOnce) this.report(instance.group);
  }

  end(instance: InstanceState, end: Partial<on.InstanceEnd> = {}): void {
    const before = this.state.groups.get(instance.group);
    on.ended(this.state, { id: instance.id, ...end }, this.now);
    const after = this.state.groups.get(instance.group);
    if (before && after && after.failures > before.failures) this.failures += 1;
    this.report(instance.group);
  }

  newRevision(choice: Choice): void {
    if (choice.pick(3) > 0) this.revision += 1;
    const groups = this.specs.filter((_, index) => index === 0 || choice.pick(4) > 0);
    on.setGroups(this.state, { revision: `r${this.revision}`, groups });
    for (const { key } of groups) this.report(key);
  }

  adopt(choice: Choice): void {
    const group = choice.of(this.specs)?.key ?? '';
    const revision = choice.pick(3) === 0 ? 'r0' : this.state.revision;
    if (this.state.instances.size >= this.state.maxInstances) return;
    on.adopted(this.state, { id: `i${(this.serial += 1)}`, group, revision, inflight: choice.pick(2), draining: choice.pick(4) === 0 }, this.now);
  }
}

/** Makes each change of groups and instances throw, until `unseal`. */
function seal(state: HostState): void {
  for (const map of [state.groups, state.instances] as const) {
    for (const record of map.values() as Iterable<GroupState | InstanceState>) Object.freeze(record);
    Object.assign(map, { set: forbidden, delete: forbidden, clear: forbidden });
  }
}

function forbidden(): never {
  throw new Error('decide changed its input');
}

/** Gives the maps their methods back; records stay frozen, as transitions only replace them. */
function unseal(state: HostState): void {
  for (const map of [state.groups, state.instances]) {
    for (const name of ['set', 'delete', 'clear']) Reflect.deleteProperty(map, name);
  }
}

type Event = (model: Model, choice: Choice, keys: readonly string[]) => unknown;

/** An event that befalls one of some instances, if there is one. */
function befalls(phases: readonly InstanceState['phase'][], act: (model: Model, one: InstanceState, choice: Choice) => void): Event {
  return (model, choice) => {
    const one = choice.of(phases.flatMap((phase) => model.instances(phase)));
    if (one !== undefined) act(model, one, choice);
  };
}

/** How often, and what. Everyday events are frequent enough that hosts fill up; failures that back-offs add up. */
const WEIGHTED: readonly (readonly [times: number, event: Event])[] = [
  [8, (model, choice, keys) => model.arrive(choice.of(keys) ?? '', 1 + choice.pick(4))],
  [2, (model, choice, keys) => model.report(choice.of(keys) ?? '')],
  [8, befalls(['launching'], (model, { id }) => model.ready(id))],
  [10, befalls(['ready'], (model, one, choice) => model.serve(one, choice.pick(3) > 0))],
  [8, befalls(['ready', 'draining'], (model, one, choice) => model.finish(one, choice.pick(3) > 0))],
  [4, befalls(['draining', 'terminating'], (model, one) => model.end(one))],
  [1, befalls(['launching'], (model, one) => model.end(one, { failure: BOOT_ERROR }))],
  [1, befalls(['launching', 'ready', 'draining', 'terminating'], (model, one) => model.end(one, { bySignal: true }))],
  [1, befalls(['launching', 'ready'], (model, one, choice) => model.end(one, { served: choice.pick(2) }))],
  [1, befalls(['ready'], (model, one) => on.markUnresponsive(model.state, one.id))],
  [1, befalls(['ready'], (model, one) => on.retired(model.state, one.id, model.now))],
  [1, (model, choice) => choice.pick(3) === 0 && model.newRevision(choice)],
  [1, (model, choice) => choice.pick(2) === 0 && model.adopt(choice)],
  [1, (model, choice) => choice.pick(10) === 0 && on.closing(model.state)],
  [1, (model) => model.state.development && on.filesChanged(model.state)],
];

const EVENTS: readonly Event[] = WEIGHTED.flatMap(([times, event]) => Array<Event>(times).fill(event));

const STEPS_MS = [0, 0, 0, 0, 0, 0, 1, 1, 10, 10, 50, 100, 300, 1_200];

function play(model: Model, history: readonly number[], keys: readonly string[]): void {
  let wake = model.settle();
  for (const number of history) {
    const choice = new Choice(number);
    const then = model.now + (STEPS_MS[choice.pick(STEPS_MS.length)] ?? 0);
    // The agent's timer fires on the way, as it would.
    for (let rounds = 0; wake <= then; rounds += 1) {
      assert(rounds < 200, 'wakes a bounded number of times');
      model.now = wake;
      wake = model.settle();
    }
    model.now = then;
    EVENTS[choice.pick(EVENTS.length)]?.(model, choice, keys);
    wake = model.settle();
  }
}

/** From here on nothing dies that was not told to; requests end at once, or never. */
function calm(model: Model, keys: readonly string[], requestsEnd: boolean): void {
  const live = keys.filter((key) => model.state.groups.has(key));
  model.answered.clear();
  for (const key of live) model.report(key);
  for (const key of live) if (model.serving(key).length > 0 || model.waiting.get(key) === 0) model.answered.add(key);
  const owed = new Set(live.filter((key) => (model.waiting.get(key) ?? 0) > 0));
  const done = (): boolean => (model.state.closing ? model.state.instances.size === 0 : [...owed].every((key) => model.answered.has(key)));
  for (let round = 0; round < 40 && !done(); round += 1) {
    model.settle();
    for (const one of model.instances('launching')) model.ready(one.id);
    for (const one of model.instances('ready')) if (!model.state.closing) model.serve(one, true);
    if (requestsEnd) for (const one of [...model.instances('ready'), ...model.instances('draining')]) model.finish(one, true);
    for (const one of model.instances('terminating')) model.end(one, { bySignal: true });
    for (const one of model.instances('draining')) if (one.inflight === 0) model.end(one);
    const wake = model.settle();
    model.now = Math.min(model.now + 1_000, Math.max(model.now, wake));
  }
  assert(done(), model.state.closing ? 'a closing host ends empty' : 'each group that waits gets an instance or a refusal');
}

const groups = fc.array(fc.record({
  concurrency: fc.integer({ min: 1, max: 3 }),
  minInstances: fc.integer({ min: 0, max: 1 }),
  extra: fc.integer({ min: 0, max: 3 }),
  idleTimeoutMs: fc.constantFrom(50, 1_000),
}), { minLength: 1, maxLength: 4 }).map((drafts) => drafts.map(({ extra, ...draft }, index): GroupSpec => {
  const key = `g${index}`;
  return { key, functions: [key], maxInstances: Math.max(1, draft.minInstances + extra), ...draft };
}));

describe('scheduler/decide over any history', function () {
  this.timeout(120_000);

  it(`keeps limits, launches for somebody only, settles in one round and starves no group (${HISTORIES} histories)`, () => {
    fc.assert(fc.property(
      groups,
      fc.integer({ min: 1, max: 5 }),
      fc.record({ development: fc.boolean(), requestsEnd: fc.boolean() }),
      fc.array(fc.nat(), { maxLength: 30, size: 'max' }),
      (specs, maxInstances, { development, requestsEnd }, history) => {
        const keys = specs.map(({ key }) => key);
        const model = new Model(specs, maxInstances, development);
        play(model, history, keys);
        calm(model, keys, requestsEnd);
      },
    ), { numRuns: HISTORIES });
  });
});
