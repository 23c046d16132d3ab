/**
 * Whom to do without: instances that nobody needs at the moment, least recently used first. Pure; in the agent.
 */
import { neededInstances, type GroupView } from './capacity';
import type { InstanceState } from './state';

const byLastUse = (a: InstanceState, b: InstanceState): number => a.idleSince - b.idleSince;

/**
 * The group's instances that it can do without: idle, beyond what its demand and its `minInstances` need, and none
 * while a request waits. Least recently used first.
 */
export function spareInstances({ group, tally }: GroupView): readonly InstanceState[] {
  if (group.waiting > 0 || tally.idle.length === 0) return [];
  const spare = tally.ready - neededInstances(group, tally);
  if (spare <= 0) return [];
  // Most groups have one instance, and a copy of each is half of what a decision over 1000 groups costs.
  return tally.idle.length === 1 ? tally.idle : tally.idle.toSorted(byLastUse).slice(0, spare);
}

/**
 * Up to `count` instances to evict, over all groups, least recently used first. `leaving` are ids that go anyway.
 * A group that wants instances has no spare ones, so none gives way to its own group.
 */
export function victims(views: Iterable<GroupView>, count: number, leaving: Pick<ReadonlySet<string>, 'has'>): readonly InstanceState[] {
  if (count <= 0) return [];
  const spare: InstanceState[] = [];
  for (const view of views) {
    for (const instance of spareInstances(view)) {
      if (!leaving.has(instance.id)) spare.push(instance);
    }
  }
  return spare.sort(byLastUse).slice(0, count);
}

/** Whether an instance of this group would be spare as soon as its present demand has passed. */
export function maySpareSoon({ group, tally }: GroupView): boolean {
  return tally.idle.length > 0 && tally.ready > group.spec.minInstances;
}
