/**
 * Arguments of an invocation, from its body and from what the trigger read elsewhere. Only the instance parses bodies:
 * ingress and gateway never do.
 */
import { CartonError } from '../support/errors';
import { LIMITS } from '../support/limits';
import type { InvokePayload } from '../protocol/invocation';

/**
 * Throws `CARTON_RUNTIME_BAD_JSON`, `CARTON_RUNTIME_ARGUMENTS_NOT_ARRAY` or `CARTON_RUNTIME_BAD_ARGUMENT`, and
 * `CARTON_RPC_BAD_FRAME` for what no trigger sends.
 */
export function readArguments(payload: InvokePayload, body: Buffer): unknown[] {
  const plan = payload.hasExtra ? payload.extra.args : undefined;
  if (plan === undefined || plan.kind === 'array') return argumentArray(body);
  const values = [...plan.values];
  for (const index of plan.missing) values[index] = undefined;
  if (plan.fromBody.length === 0) return values;
  const parsed = body.length === 0 ? undefined : parseJson(body);
  for (const { index, name } of plan.fromBody) {
    values[index] = name === undefined ? parsed : propertyOf(parsed, name);
  }
  return values;
}

function argumentArray(body: Buffer): unknown[] {
  const value = parseJson(body);
  if (!Array.isArray(value)) {
    throw new CartonError('CARTON_RUNTIME_ARGUMENTS_NOT_ARRAY', {
      expected: 'a JSON array of arguments',
      got: value === null ? 'null' : typeof value,
    });
  }
  if (value.length > LIMITS.arguments) {
    throw new CartonError('CARTON_RUNTIME_BAD_ARGUMENT', { expected: `at most ${LIMITS.arguments} arguments`, got: `${value.length}`, hint: 'Send a list as one argument.' });
  }
  return value as unknown[];
}

/** One decoder for all: it keeps no state between calls without `stream`. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(body)) as unknown;
  } catch (cause) {
    const got = body.length === 0 ? 'an empty body' : (cause as Error).message;
    throw new CartonError('CARTON_RUNTIME_BAD_JSON', { expected: 'JSON in UTF-8', got, cause });
  }
}

function propertyOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}
