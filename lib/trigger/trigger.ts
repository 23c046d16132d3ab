/**
 * What a trigger sees of an HTTP request, and what it makes of it. Triggers read the head only; bodies are parsed in
 * instances.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
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
  /** What of the arguments the body holds: nothing, some of them where there is a body, or all of them. */
  readonly body: 'none' | 'optional' | 'array';
  /** Reads what the head says of the arguments. Throws `CARTON_RUNTIME_BAD_ARGUMENT`. */
  readonly args: (head: RequestHead) => ArgumentPlan;
}

/** A proxy's form of a request line names scheme and host before the path; servers have to take it, too. */
const AUTHORITY = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i;

export function headOf(request: IncomingMessage): RequestHead {
  let url = request.url ?? '/';
  if (!url.startsWith('/')) url = url.replace(AUTHORITY, '');
  const mark = url.indexOf('?');
  return {
    method: request.method ?? 'GET',
    path: mark === -1 ? url : url.slice(0, mark),
    query: mark === -1 ? '' : url.slice(mark + 1),
    headers: request.headers,
  };
}
