/**
 * What each event does to the scheduler's state. It runs in the agent and does nothing but change the state: no
 * clock, no process, no message.
 *
 * Each transition changes the state in place, in constant time but for `setGroups`, `filesChanged` and a failure, and
 * returns it. Events that come late (of an instance that ended, of a group that is gone) change nothing, because
 * messages cross on their way.
 */
import assert from 'node:assert/strict';
import type { Demand, InstanceLoad, InstanceReady } from '../protocol/control';
import type { GroupSpec, Revision } from '../spec/types';
import type { WireError } from '../support/errors';
import { afterFailure, launchTimeoutError, withoutFailures } from './backoff';
import type { GroupState, HostLimits, InstanceState, OwnedHostState, TerminateReason } from './state';

/** A host without groups and instances. Times in the options are milliseconds. */
export function initialState(options: HostLimits): OwnedHostState {
  const { maxInstances, launchTimeoutMs, drainTimeoutMs, maxBackoffMs, development } = options;
  return {
    maxInstances, launchTimeoutMs, drainTimeoutMs, maxBackoffMs, development,
    groups: new Map(), instances: new Map(), revision: '', closing: false,
  };
}

/**
 * The revision to run from now on. With another revision all instances so far are outdated and the groups' failures
 * forgotten; their demand is kept, that of groups that are gone is not.
 */
export function setGroups(state: OwnedHostState, next: Pick<Revision, 'revision' | 'groups'>): OwnedHostState {
  const before = new Map(state.groups);
  const same = state.revision === next.revision;
  state.revision = next.revision;
  state.groups.clear();
  for (const spec of next.groups) {
    const known = before.get(spec.key) ?? newGroup(spec);
    state.groups.set(spec.key, { ...(same ? known : withoutFailures(known)), spec });
  }
  return state;
}

function newGroup(spec: GroupSpec): GroupState {
  return {
    spec, waiting: 0, inflight: 0, waitingSince: Infinity, failures: 0, retries: 0, wave: 0,
    backoffUntil: 0, probing: false, refusalDue: false, lastError: undefined,
  };
}

/** How much work waits for a group and how much of it runs, over all workers. */
export function demandChanged(state: OwnedHostState, demand: Demand, now: number): OwnedHostState {
  const { waiting, inflight } = demand;
  assert(waiting >= 0 && inflight >= 0, 'demand is never negative');
  const group = state.groups.get(demand.group);
  if (group === undefined) return state;
  const since = group.waiting > 0 ? group.waitingSince : now;
  return putGroup(state, { ...group, waiting, inflight, waitingSince: waiting > 0 ? since : Infinity });
}

/** A launch was begun. To be called in the same turn as `decide`, before the launcher is. */
export function launched(state: OwnedHostState, launch: { readonly id: string; readonly group: string }, now: number): OwnedHostState {
  const group = state.groups.get(launch.group);
  assert(group !== undefined, `launch for unknown group ${launch.group}`);
  assert(!state.instances.has(launch.id), `instance ${launch.id} launched twice`);
  return putInstance(state, {
    id: launch.id, group: launch.group, revision: state.revision, phase: 'launching',
    inflight: 0, served: 0, launchedAt: now, idleSince: now, phaseDeadline: now + state.launchTimeoutMs,
    wave: group.wave, unresponsive: false, terminatedFor: undefined,
  });
}

/** What an instance that a former agent launched says of itself; `pid` is of no matter here. */
export type AdoptedInstance = Omit<InstanceReady, 'pid' | 'served'> & { readonly served?: number };

/** An instance outlived the agent that launched it. To be called after `setGroups`, or it counts as outdated. */
export function adopted(state: OwnedHostState, found: AdoptedInstance, now: number): OwnedHostState {
  if (state.instances.has(found.id)) return state;
  return putInstance(state, {
    id: found.id, group: found.group, revision: found.revision, phase: found.draining ? 'draining' : 'ready',
    inflight: found.inflight, served: found.served ?? 0, launchedAt: now, idleSince: now,
    phaseDeadline: found.draining ? now + state.drainTimeoutMs : Infinity,
    wave: -1, unresponsive: false, terminatedFor: undefined,
  });
}

/** The instance said that it is ready. Its group needs no refusal any more, and no longer one launch at a time. */
export function becameReady(state: OwnedHostState, id: string, now: number): OwnedHostState {
  const instance = state.instances.get(id);
  if (instance?.phase !== 'launching') return state;
  putInstance(state, { ...instance, phase: 'ready', idleSince: now, phaseDeadline: Infinity });
  const group = state.groups.get(instance.group);
  if (group === undefined || instance.revision !== state.revision) return state;
  // One that was launched before the last failure does not show that launches work again.
  const probing = group.probing && instance.wave !== group.wave;
  return putGroup(state, { ...group, probing, refusalDue: false });
}

/** The instance reported its load. An invocation may have come and gone between two reports: `served` tells. */
export function loadReported(state: OwnedHostState, load: InstanceLoad & { readonly id: string }, now: number): OwnedHostState {
  const instance = state.instances.get(load.id);
  if (instance === undefined) return state;
  const { inflight, served } = load;
  const used = instance.inflight > 0 || served > instance.served;
  putInstance(state, { ...instance, inflight, served, idleSince: inflight === 0 && used ? now : instance.idleSince });
  if (served > 0 && instance.served === 0) began(state, instance);
  return state;
}

/** Only an instance's first invocation forgets failures: else a healthy old one would undo each back-off. */
function began(state: OwnedHostState, instance: InstanceState): void {
  const group = state.groups.get(instance.group);
  if (group !== undefined && instance.revision === state.revision) putGroup(state, withoutFailures(group));
}

/** The instance was told to drain. */
export function drainStarted(state: OwnedHostState, id: string, now: number): OwnedHostState {
  const instance = state.instances.get(id);
  if (instance === undefined || instance.phase === 'draining' || instance.phase === 'terminating') return state;
  return putInstance(state, { ...instance, phase: 'draining', phaseDeadline: now + state.drainTimeoutMs });
}

/** The instance found its files changed (development) and drains itself. */
export function retired(state: OwnedHostState, id: string, now: number): OwnedHostState {
  return drainStarted(state, id, now);
}

/** A worker found the instance unresponsive. */
export function markUnresponsive(state: OwnedHostState, id: string): OwnedHostState {
  const instance = state.instances.get(id);
  return instance === undefined ? state : putInstance(state, { ...instance, unresponsive: true });
}

/** The instance was killed; its place is free once `ended` says so. */
export function terminateStarted(state: OwnedHostState, id: string, reason: TerminateReason): OwnedHostState {
  const instance = state.instances.get(id);
  if (instance === undefined || instance.phase === 'terminating') return state;
  return putInstance(state, { ...instance, phase: 'terminating', phaseDeadline: Infinity, terminatedFor: reason });
}

export interface InstanceEnd {
  readonly id: string;
  /** What the instance reported before it ended, or the launcher's error where no process could be made. */
  readonly failure?: WireError;
  /** A signal ended it, and not an exit of its own. */
  readonly bySignal?: boolean;
  /** Invocations begun by its begin record, where that knows of more than its last report. */
  readonly served?: number;
}

/** The instance is gone. If it ended by itself before it began one invocation, that is a failure of its group. */
export function ended(state: OwnedHostState, end: InstanceEnd, now: number): OwnedHostState {
  const instance = state.instances.get(end.id);
  if (instance === undefined) return state;
  state.instances.delete(end.id);
  const group = state.groups.get(instance.group);
  if (group === undefined || state.closing || instance.revision !== state.revision) return state;
  if (instance.served > 0) return state;
  if ((end.served ?? 0) > 0) {
    began(state, instance);
    return state;
  }
  if (!endedByItself(instance) || instance.wave !== group.wave) return state;
  const tookTooLong = instance.terminatedFor === 'launch-timeout';
  return putGroup(state, afterFailure(group, {
    error: end.failure ?? (tookTooLong ? launchTimeoutError(instance.group, state.launchTimeoutMs) : undefined),
    bySignal: end.bySignal ?? false,
    at: now,
    othersReady: hasReady(state, instance.group),
  }, state));
}

/** Whether nobody asked it to end, or only because it took too long. An unresponsive one did begin an invocation. */
function endedByItself(instance: InstanceState): boolean {
  if (instance.phase === 'terminating') return instance.terminatedFor === 'launch-timeout';
  return instance.phase !== 'draining' && !instance.unresponsive;
}

function hasReady(state: OwnedHostState, group: string): boolean {
  for (const instance of state.instances.values()) {
    if (instance.group === group && instance.phase === 'ready' && instance.revision === state.revision && !instance.unresponsive) return true;
  }
  return false;
}

/** The waiting requests of the group have been refused: none of them waits any more, and the failure is told. */
export function refused(state: OwnedHostState, key: string): OwnedHostState {
  const group = state.groups.get(key);
  return group === undefined ? state : putGroup(state, { ...group, waiting: 0, waitingSince: Infinity, refusalDue: false });
}

/** Files of the application changed (development): what failed may work now. */
export function filesChanged(state: OwnedHostState): OwnedHostState {
  for (const group of state.groups.values()) putGroup(state, withoutFailures(group));
  return state;
}

/** The host is going. There is no way back. */
export function closing(state: OwnedHostState): OwnedHostState {
  state.closing = true;
  return state;
}

function putGroup(state: OwnedHostState, group: GroupState): OwnedHostState {
  state.groups.set(group.spec.key, group);
  return state;
}

function putInstance(state: OwnedHostState, instance: InstanceState): OwnedHostState {
  state.instances.set(instance.id, instance);
  return state;
}
