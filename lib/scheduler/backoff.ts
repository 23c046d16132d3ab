/**
 * What a failed launch does to its group: try again at once, or refuse and back off, and for how long. Pure; in the
 * agent.
 *
 * A signal without a reported failure is mostly the machine's doing (memory ran out), so it is worth a try at once.
 * A reported failure is the code's, and the next launch would meet it again.
 */
import { CartonError, toWire, type WireError } from '../support/errors';
import { LIMITS } from '../support/limits';
import { subjectOf, type GroupState, type HostLimits } from './state';

/** Milliseconds of the first back-off; each further failure in a row doubles it. */
export const FIRST_BACKOFF_MS = 1_000;

/** Milliseconds to wait after the given number of failures in a row (≥ 1). */
export function backoffMs(failures: number, maxBackoffMs: number): number {
  return Math.min(maxBackoffMs, FIRST_BACKOFF_MS * 2 ** (failures - 1));
}

export interface Failure {
  /** What the instance or the launcher reported, if anything. */
  readonly error: WireError | undefined;
  readonly bySignal: boolean;
  /** Clock time of the end. */
  readonly at: number;
  /** Whether the group has another instance that is ready: then nobody is refused, the group only backs off. */
  readonly othersReady: boolean;
}

/** The group after an instance of its current wave ended without having begun one invocation. */
export function afterFailure(group: GroupState, failure: Failure, limits: HostLimits): GroupState {
  const wave = group.wave + 1;
  if (failure.error === undefined && failure.bySignal && group.retries < LIMITS.launchRetries) {
    return { ...group, wave, retries: group.retries + 1 };
  }
  const failures = group.failures + 1;
  return {
    ...group,
    wave,
    failures,
    backoffUntil: limits.development ? 0 : failure.at + backoffMs(failures, limits.maxBackoffMs),
    probing: true,
    refusalDue: !failure.othersReady,
    lastError: failure.error ?? unreported(group, failure),
  };
}

/** The group after an instance has begun its first invocation, or after its files have changed. */
export function withoutFailures(group: GroupState): GroupState {
  return { ...group, failures: 0, retries: 0, backoffUntil: 0, probing: false, refusalDue: false, lastError: undefined };
}

function unreported(group: GroupState, failure: Failure): WireError {
  const got = failure.bySignal ? `a signal that ended it, ${group.retries + 1} times in a row` : 'an exit before that';
  return toWire(new CartonError('CARTON_INSTANCE_LAUNCH_FAILED', {
    of: subjectOf(group.spec.key),
    expected: 'its process to run until it has begun an invocation',
    got,
  }));
}

/** What a launch that took too long counts as. */
export function launchTimeoutError(group: string, launchTimeoutMs: number): WireError {
  return toWire(new CartonError('CARTON_INSTANCE_LAUNCH_TIMEOUT', {
    of: subjectOf(group),
    expected: `it to be ready within ${launchTimeoutMs} ms`,
    got: 'no word from it',
  }));
}

/** What requests get that arrive while the group backs off for `restMs` more. */
export function backingOffError(group: GroupState, restMs: number): WireError {
  return toWire(new CartonError('CARTON_INSTANCE_BACKING_OFF', {
    of: subjectOf(group.spec.key),
    hint: group.lastError === undefined ? undefined : `The last failure: ${group.lastError.message}`,
    retryAfterMs: restMs,
  }));
}
