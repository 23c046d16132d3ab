/**
 * What is to be done now: a pure function from the scheduler's state and the time to actions. It runs in the agent.
 *
 * 1. Whoever carries the actions out tells each one back by its transition in the same turn, then decides again. Then
 *    only `wake` is left, because what one call wants it wants in full.
 * 2. Nothing is launched for nobody (`minInstances` excepted), in a back-off, or while the host closes.
 * 3. Neither `maxInstances` is exceeded. The host's counts every process; the group's counts those that serve or will,
 *    so that a new revision need not wait for the old one to drain.
 * 4. When places are short, groups that wait and have no instance come first, then those that wait and have some,
 *    then `minInstances`; among equals the one that waits longest.
 * 5. On a full host a group without an instance waits as long as a place may come free soon: an instance is launching
 *    or leaving, or idle beyond its group's `minInstances`. Otherwise its requests are refused at once.
 */
import { CartonError, toWire, type WireError } from '../support/errors';
import { backingOffError } from './backoff';
import { hostRoom, launchesWanted, viewGroups, type GroupView } from './capacity';
import { maySpareSoon, spareInstances, victims } from './evict';
import { isOutdated, subjectOf, type Action, type GroupState, type HostState, type InstanceState } from './state';

/** Milliseconds after which a request that met a full host may try again. */
const HOST_FULL_RETRY_MS = 1_000;

/** What one call of `decide` works on. */
interface Round {
  readonly state: HostState;
  readonly now: number;
  readonly views: readonly GroupView[];
  /** Instances that this round ends, and how. */
  readonly leaving: Map<string, 'drain' | 'terminate'>;
  readonly actions: Action[];
}

/** Actions that the state calls for at clock time `now`; at most one `wake`, and that last. Changes nothing. */
export function decide(state: HostState, now: number): Action[] {
  const round: Round = { state, now, views: viewGroups(state), leaving: new Map(), actions: [] };
  for (const instance of state.instances.values()) {
    const action = endOf(state, instance, now);
    if (action !== undefined) end(round, action);
  }
  reclaimIdle(round);
  refuseFailed(round);
  fillPlaces(round);
  const at = nextChange(round);
  if (at < Infinity) round.actions.push({ type: 'wake', at });
  return round.actions;
}

type EndAction = Extract<Action, { type: 'drain' | 'terminate' }>;

function end(round: Round, action: EndAction): void {
  round.leaving.set(action.instance, action.type);
  round.actions.push(action);
}

/** How the instance is to end for a reason of its own, if there is one. */
function endOf(state: HostState, instance: InstanceState, now: number): EndAction | undefined {
  const { id, phase } = instance;
  if (phase === 'terminating') return undefined;
  if (instance.unresponsive) return { type: 'terminate', instance: id, reason: 'unresponsive' };
  const late = now >= instance.phaseDeadline;
  if (phase === 'draining') return late ? { type: 'terminate', instance: id, reason: 'drain-timeout' } : undefined;
  const reason = state.closing ? 'closing' : isOutdated(state, instance) ? 'revision' : undefined;
  if (phase === 'ready') return reason === undefined ? undefined : { type: 'drain', instance: id, reason };
  // A launching one has begun nothing, so there is nothing to drain.
  if (reason !== undefined) return { type: 'terminate', instance: id, reason };
  return late ? { type: 'terminate', instance: id, reason: 'launch-timeout' } : undefined;
}

function reclaimIdle(round: Round): void {
  if (round.state.closing) return;
  for (const view of round.views) {
    for (const instance of spareInstances(view)) {
      if (round.now < idleEnd(view.group, instance)) break;
      end(round, { type: 'drain', instance: instance.id, reason: 'idle' });
    }
  }
}

function idleEnd(group: GroupState, instance: InstanceState): number {
  return instance.idleSince + group.spec.idleTimeoutMs;
}

/**
 * Tells failures, each once, and refuses what came to a back-off afterwards. A group with an instance that is ready,
 * or still launching, refuses nobody: that one may serve them.
 */
function refuseFailed({ state, now, views, actions }: Round): void {
  if (state.closing) return;
  for (const { group, tally } of views) {
    if (tally.launching + tally.ready > 0) continue;
    const key = group.spec.key;
    const restMs = Math.max(0, group.backoffUntil - now);
    if (group.refusalDue && group.lastError !== undefined) {
      const error = restMs > 0 ? { ...group.lastError, retryAfterMs: restMs } : group.lastError;
      actions.push({ type: 'refuse', group: key, error, forMs: 0 });
    }
    if (restMs > 0 && (group.refusalDue || group.waiting > 0)) {
      actions.push({ type: 'refuse', group: key, error: backingOffError(group, restMs), forMs: restMs });
    }
  }
}

/** A wish for one place on the host. */
interface Want {
  readonly group: GroupState;
  /** 0: some wait and there is no instance; 1: some wait and there is one; 2: only `minInstances` asks for it. */
  readonly rank: 0 | 1 | 2;
}

function fillPlaces(round: Round): void {
  const { state, views, leaving, actions } = round;
  const wants = wantedPlaces(round);
  const room = hostRoom(state);
  for (const { group } of wants.slice(0, room)) actions.push({ type: 'launch', group: group.spec.key });
  const short = wants.slice(room);
  if (short.length === 0) return;
  const evicted = victims(views, short.length - placesFreeSoon(round), leaving);
  for (const instance of evicted) end(round, { type: 'drain', instance: instance.id, reason: 'evicted' });
  if (room > 0 || roomMayCome(round)) return;
  for (const { group, rank } of short) {
    if (rank === 0) actions.push({ type: 'refuse', group: group.spec.key, error: hostFullError(state, group), forMs: 0 });
  }
}

function wantedPlaces({ state, now, views }: Round): Want[] {
  const wants: Want[] = [];
  for (const view of views) {
    const { group, tally } = view;
    const count = launchesWanted(state, view, now);
    for (let place = 0; place < count; place += 1) {
      const first = place === 0 && tally.launching + tally.ready === 0;
      wants.push({ group, rank: group.waiting === 0 || group.refusalDue ? 2 : first ? 0 : 1 });
    }
  }
  return wants.sort((a, b) => a.rank - b.rank || compareTimes(a.group.waitingSince, b.group.waitingSince));
}

/** `a - b` is NaN for two that wait since never. */
function compareTimes(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** Places that come free without a further eviction; a busy one that drains may take its whole `drainTimeoutMs`. */
function placesFreeSoon({ state, leaving }: Round): number {
  let places = 0;
  for (const { id, phase, inflight } of state.instances.values()) {
    const how = phase === 'terminating' ? 'terminate' : phase === 'draining' ? leaving.get(id) ?? 'drain' : leaving.get(id);
    if (how === 'terminate' || (how === 'drain' && inflight === 0)) places += 1;
  }
  return places;
}

function roomMayCome({ state, views, leaving }: Round): boolean {
  if (leaving.size > 0) return true;
  for (const { phase } of state.instances.values()) if (phase !== 'ready') return true;
  return views.some(maySpareSoon);
}

function hostFullError(state: HostState, group: GroupState): WireError {
  return toWire(new CartonError('CARTON_SCHEDULER_HOST_FULL', {
    of: subjectOf(group.spec.key),
    expected: `a free place or a spare instance among ${state.maxInstances}`,
    got: 'none, and none that will be free soon',
    retryAfterMs: HOST_FULL_RETRY_MS,
  }));
}

/** Clock time at which something changes by time alone, or Infinity. */
function nextChange({ state, now, views, leaving }: Round): number {
  let at = Infinity;
  for (const { id, phaseDeadline } of state.instances.values()) {
    if (!leaving.has(id)) at = Math.min(at, phaseDeadline);
  }
  for (const view of views) {
    const { group } = view;
    const next = spareInstances(view).find((instance) => !leaving.has(instance.id));
    if (next !== undefined) at = Math.min(at, idleEnd(group, next));
    const backsOff = group.backoffUntil > now && launchesWanted(state, view, group.backoffUntil) > 0;
    if (backsOff) at = Math.min(at, group.backoffUntil);
  }
  return at;
}
