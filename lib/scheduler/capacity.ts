/**
 * How many instances a group has, needs and may launch, and how many more the host can hold. Pure; in the agent.
 */
import { isOutdated, type GroupState, type HostState, type InstanceState } from './state';

/** A group's instances, counted. Outdated and unresponsive ones serve no more and count as leaving. */
export interface Tally {
  /**
   * On its way to ready. One that is being terminated because it took too long stays here until its end has been
   * counted as a failure; else a replacement would be launched ahead of the back-off.
   */
  launching: number;
  ready: number;
  /** The ready ones that run nothing. */
  idle: InstanceState[];
  /** Invocations that run in instances which take nothing new: they need no place of their own. */
  leavingInflight: number;
}

/** A group as `decide` looks at it. */
export interface GroupView {
  readonly group: GroupState;
  readonly tally: Readonly<Tally>;
}

const newTally = (): Tally => ({ launching: 0, ready: 0, idle: [], leavingInflight: 0 });

/** All groups with something to decide; of thousands most have no instance and no demand, and cost one look each. */
export function viewGroups(state: HostState): readonly GroupView[] {
  const tallies = tallyInstances(state);
  const views: GroupView[] = [];
  for (const [key, group] of state.groups) {
    const tally = tallies.get(key);
    const asleep = tally === undefined && group.waiting === 0 && group.spec.minInstances === 0 && !group.refusalDue;
    if (!asleep) views.push({ group, tally: tally ?? newTally() });
  }
  return views;
}

function tallyInstances(state: HostState): ReadonlyMap<string, Tally> {
  const tallies = new Map<string, Tally>();
  for (const instance of state.instances.values()) {
    let tally = tallies.get(instance.group);
    if (tally === undefined) tallies.set(instance.group, tally = newTally());
    add(tally, instance, isOutdated(state, instance));
  }
  return tallies;
}

function add(tally: Tally, instance: InstanceState, outdated: boolean): void {
  const serves = !outdated && !instance.unresponsive;
  if (serves && (instance.phase === 'launching' || instance.terminatedFor === 'launch-timeout')) {
    tally.launching += 1;
  } else if (serves && instance.phase === 'ready') {
    tally.ready += 1;
    if (instance.inflight === 0) tally.idle.push(instance);
  } else {
    tally.leavingInflight += instance.inflight;
  }
}

/** Instances that the group should have for its demand, between its minimum and its maximum. */
export function neededInstances(group: GroupState, tally: Readonly<Tally>): number {
  const inflight = Math.max(0, group.inflight - tally.leavingInflight);
  const forDemand = Math.ceil((group.waiting + inflight) / group.spec.concurrency);
  return Math.min(group.spec.maxInstances, Math.max(group.spec.minInstances, forDemand));
}

/** Instances that the group should launch at clock time `at`, if the host had room for them. */
export function launchesWanted(state: HostState, { group, tally }: GroupView, at: number): number {
  if (state.closing || at < group.backoffUntil) return 0;
  const supply = tally.launching + tally.ready;
  // Those that wait are about to be refused: nothing is launched for them.
  const waiting = group.refusalDue ? 0 : group.waiting;
  const forWaiting = Math.ceil(waiting / group.spec.concurrency) - tally.launching;
  const forDemand = Math.min(neededInstances(group, tally) - supply, forWaiting);
  // In development nothing backs off, so that a warm instance which cannot boot would be launched without end.
  const forMinimum = state.development && group.failures > 0 ? 0 : group.spec.minInstances - supply;
  const wanted = Math.max(0, forDemand, forMinimum);
  return group.probing ? Math.min(wanted, Math.max(0, 1 - tally.launching)) : wanted;
}

/** Instances that the host can hold in addition. */
export function hostRoom(state: HostState): number {
  return Math.max(0, state.maxInstances - state.instances.size);
}
