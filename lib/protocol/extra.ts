/**
 * What does not fit the binary head of an invocation: JSON, and only where there is something to say. Checked when it
 * is read, because an index out of range would become an array of a thousand million elements.
 */
import { CartonError } from '../support/errors';
import type { ArgumentPlan, BodyArgument, OneapiRequest } from './oneapi';

/** Each field is left out where it has nothing to say. */
export interface Extra {
  readonly user?: unknown;
  readonly args?: ArgumentPlan;
  readonly traceState?: string;
}

/** JSON of what goes into `extra`, or undefined for nothing. Made once for all attempts. */
export function encodeExtra(request: OneapiRequest): Buffer | undefined {
  if (request.user === undefined && request.args.kind === 'array' && request.trace.state === '') return undefined;
  const extra: Extra = {
    user: request.user,
    args: request.args.kind === 'array' ? undefined : request.args,
    traceState: request.trace.state === '' ? undefined : request.trace.state,
  };
  return Buffer.from(JSON.stringify(extra));
}

/** Throws `CARTON_RPC_BAD_FRAME`. */
export function decodeExtra(text: string): Extra {
  const { user, args, traceState } = recordOf(parse(text), 'an object');
  if (traceState !== undefined && typeof traceState !== 'string') throw bad('traceState to be a string', typeof traceState);
  return { user, args: args === undefined ? undefined : readPlan(recordOf(args, 'args to be an object')), traceState };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CartonError('CARTON_RPC_BAD_FRAME', { of: 'invocation', expected: 'extra to be JSON', got: `${text.length} characters that are not`, cause });
  }
}

function readPlan({ kind, values, missing, fromBody }: Record<string, unknown>): ArgumentPlan {
  if (kind === 'array') return { kind };
  if (kind !== 'values' || !Array.isArray(values) || !Array.isArray(missing) || !Array.isArray(fromBody)) {
    throw bad('a known plan of arguments', `kind ${JSON.stringify(kind)?.slice(0, 40) ?? 'undefined'}`);
  }
  for (const index of missing) checkIndex(index, values.length);
  for (const argument of fromBody as unknown[]) {
    const { index, name } = recordOf(argument, 'an argument from the body');
    checkIndex(index, values.length);
    if (name !== undefined && typeof name !== 'string') throw bad('the name of a property', typeof name);
  }
  return { kind, values: values as unknown[], missing: missing as number[], fromBody: fromBody as BodyArgument[] };
}

function checkIndex(index: unknown, length: number): void {
  if (!Number.isInteger(index) || (index as number) < 0 || (index as number) >= length) throw bad(`an index below ${length}`, String(index).slice(0, 20));
}

function recordOf(value: unknown, expected: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw bad(expected, value === null ? 'null' : typeof value);
}

function bad(expected: string, got: string): CartonError {
  return new CartonError('CARTON_RPC_BAD_FRAME', { of: 'invocation', expected, got });
}
