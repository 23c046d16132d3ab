/**
 * What the scheduler knows: groups with their demand, instances with their state. Plain data in the agent that only
 * `transitions.ts` changes and `decide.ts` reads.
 *
 * An instance is in the table from its launch until its end is known; while it is there it takes one of the host's
 * places, whatever its phase.
 */
import type { GroupSpec } from '../spec/types';
import type { WireError } from '../support/errors';

/**
 * launching → ready → draining, and from each of them terminating: killed, its end not yet known. Then it leaves the
 * table. A draining instance finishes what it runs and takes nothing new.
 */
export type InstancePhase = 'launching' | 'ready' | 'draining' | 'terminating';

export type DrainReason = 'idle' | 'evicted' | 'revision' | 'closing';

export type TerminateReason = 'launch-timeout' | 'drain-timeout' | 'unresponsive' | 'revision' | 'closing';

/** A record is replaced when something changes, never changed. */
export interface InstanceState {
  readonly id: string;
  readonly group: string;
  /** What it runs. It is outdated once this is not the host's revision, or its group is gone. */
  readonly revision: string;
  readonly phase: InstancePhase;
  /** As the instance reported last, at most 100 ms ago. */
  readonly inflight: number;
  /** Invocations that it has begun since its start, as reported last. */
  readonly served: number;
  /** Clock time of the launch, or of the adoption. */
  readonly launchedAt: number;
  /** Clock time at which it last went from busy to idle, or became ready. */
  readonly idleSince: number;
  /** Clock time by which the phase must have ended (launching, draining), or Infinity. */
  readonly phaseDeadline: number;
  /** `wave` of its group at the launch; -1 for an adopted one, whose end says nothing about launches. */
  readonly wave: number;
  /** It let a deadline pass without an answer: to be terminated. */
  readonly unresponsive: boolean;
  /** Why it is terminating. */
  readonly terminatedFor: TerminateReason | undefined;
}

export interface GroupState {
  readonly spec: GroupSpec;
  /** Requests that wait in all workers and have not been refused. */
  readonly waiting: number;
  /** Requests that workers have under way to this group's instances. */
  readonly inflight: number;
  /** Clock time since when some request has been waiting without a break; Infinity when none waits. */
  readonly waitingSince: number;
  /** Failures in a row that called for a refusal. The first invocation that begins sets it to 0. */
  readonly failures: number;
  /** Launches in a row that a signal ended and that are tried again at once; counted up to `LIMITS.launchRetries`. */
  readonly retries: number;
  /**
   * Goes up with each failure that counts. Instances launched together fail together: only the first of a wave
   * counts, or one mistake with five launches under way would back off for 16 s.
   */
  readonly wave: number;
  /** Clock time before which nothing is launched; 0 for none. */
  readonly backoffUntil: number;
  /** After a failure one launch at a time, until an instance was ready. */
  readonly probing: boolean;
  /** The last failure has not been told to the waiting requests yet. */
  readonly refusalDue: boolean;
  readonly lastError: WireError | undefined;
}

export interface HostLimits {
  /** Instances that may live at once, launching, draining and terminating ones included. */
  readonly maxInstances: number;
  readonly launchTimeoutMs: number;
  readonly drainTimeoutMs: number;
  readonly maxBackoffMs: number;
  /** In development a failed launch never backs off: the next save may heal it. */
  readonly development: boolean;
}

/** What `decide` reads. */
export interface HostState extends HostLimits {
  readonly groups: ReadonlyMap<string, GroupState>;
  readonly instances: ReadonlyMap<string, InstanceState>;
  /** The revision that is to run; '' before the first `setGroups`. */
  readonly revision: string;
  /** The host is going: drain all, launch nothing. */
  readonly closing: boolean;
}

/** The same state in the hands of its one owner. Transitions change it in place: copying 1000 entries per event is dear. */
export interface OwnedHostState extends HostState {
  readonly groups: Map<string, GroupState>;
  readonly instances: Map<string, InstanceState>;
  revision: string;
  closing: boolean;
}

/** What `decide` wants done. `scheduler.ts` does it, and tells it back through the transition named here. */
export type Action =
  /** → `launched`. */
  | { readonly type: 'launch'; readonly group: string }
  /** → `drainStarted`. */
  | { readonly type: 'drain'; readonly instance: string; readonly reason: DrainReason }
  /** → `terminateStarted`. */
  | { readonly type: 'terminate'; readonly instance: string; readonly reason: TerminateReason }
  /** → `refused`. Waiting requests get `error`; so do those that arrive within `forMs` (0: none). */
  | { readonly type: 'refuse'; readonly group: string; readonly error: WireError; readonly forMs: number }
  /** Decide again at this clock time, if nothing happens before. */
  | { readonly type: 'wake'; readonly at: number };

/** Whether the instance runs what is no longer to run. */
export function isOutdated(state: HostState, instance: InstanceState): boolean {
  return instance.revision !== state.revision || !state.groups.has(instance.group);
}

/** A group's name as an error's subject. */
export function subjectOf(group: string): string {
  return group.startsWith('group:') ? `group "${group.slice('group:'.length)}"` : `function "${group}"`;
}
