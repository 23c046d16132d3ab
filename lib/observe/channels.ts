/**
 * Channels of node:diagnostics_channel on which a host tells what it did, for tracers and meters that the plugin does
 * not know. Runs in app workers. docs/reference/channels.md lists them; without subscribers a message costs one check.
 */
import { channel } from 'node:diagnostics_channel';
import type { TriggerType } from '../protocol/oneapi';

export const CHANNELS = Object.freeze({
  /** An `InvocationRecord` for each invocation, once its answer is complete or its caller has gone. */
  invocation: 'egg-carton:invocation',
});

/** What became of one invocation, as an app worker's ingress saw it. */
export interface InvocationRecord {
  /** 32 hexadecimal digits. */
  readonly invocation: string;
  readonly function: string;
  readonly trigger: TriggerType;
  /** 32 hexadecimal digits; undefined where it was refused before it had a trace. */
  readonly traceId: string | undefined;
  /** HTTP status of the answer, also where the function was called from code. */
  readonly status: number;
  /** Code of its error; undefined for success. */
  readonly errorCode: string | undefined;
  /** Milliseconds from its arrival to the first byte of its answer, or to its end where there was none. */
  readonly latencyMs: number;
  /** Milliseconds from its arrival to the last byte of its answer. */
  readonly durationMs: number;
  /** Whether it waited for an instance. */
  readonly waited: boolean;
}

const invocations = channel(CHANNELS.invocation);

/** Costs a comparison where nobody listens. */
export function publishInvocation(invocation: { readonly record: InvocationRecord }): void {
  if (invocations.hasSubscribers) invocations.publish(invocation.record);
}
