/**
 * What a trigger sees of an HTTP request, and what it makes of it. Triggers read the head only; bodies are parsed in
 * instances.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { ArgumentPlan, TriggerType } from '../protocol/oneapi';
import type { FunctionSpec } from '../spec/types';

export interface RequestHead {
  readonly method: string;
  /** Path as it came, still percent-encoded, without the query. */
  readonly path: string;
  /** Without its question mark; empty for none. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
}

/** A function that a request is for. */
export interface Match {
  readonly spec: FunctionSpec;
  readonly trigger: TriggerType;
  /** Methods that the address answers to, for `Allow` and for preflight requests. */
  readonly methods: readonly string[];
  /** Whether the arguments need the body. */
  readonly needsBody: boolean;
  /** Reads what the head says of the arguments. Throws `CARTON_RUNTIME_BAD_ARGUMENT`. */
  readonly args: (head: RequestHead) => ArgumentPlan;
}
