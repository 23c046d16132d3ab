/**
 * What a caller learns of an error that a function threw: a stable code, name and message; the stack in development
 * only. The function's own log has all of it. A function may throw anything, objects whose getters throw among it:
 * nothing here throws, and what travels is plain and of bounded size.
 */
import { CartonError, describe, ERRORS, toWire, type ThrownError, type WireError } from '../support/errors';
import { LIMITS } from '../support/limits';

/** A function's own code is passed on when it looks like one, and not like one of ours. */
const OWN_CODE = /^(?!CARTON_)[A-Za-z][A-Za-z0-9_.-]{0,99}$/;
const NAME_CHARACTERS = 100;

/** An error of the table keeps its code; anything else becomes `CARTON_RUNTIME_FUNCTION_THREW`. */
export function wireOfThrown(thrown: unknown, functionName: string, development: boolean): WireError {
  if (isOurs(thrown)) return toWire(thrown);
  const told = thrownError(thrown, development);
  return toWire(
    new CartonError('CARTON_RUNTIME_FUNCTION_THREW', {
      of: `function "${functionName}"`,
      got: `${told.name}: ${told.message}`,
      thrown: told,
      status: statusOf(thrown),
      cause: thrown,
    }),
  );
}

/** An error of the table as this process made it. A function may have got hold of one and changed it. */
function isOurs(thrown: unknown): thrown is CartonError {
  if (!isError(thrown) || !(thrown instanceof CartonError)) return false;
  const code = textOf(thrown, 'code');
  const message = textOf(thrown, 'message');
  return code !== undefined && Object.hasOwn(ERRORS, code) && message !== undefined && message.length <= LIMITS.errorCharacters && statusOf(thrown) !== undefined;
}

function thrownError(thrown: unknown, development: boolean): ThrownError {
  if (!isError(thrown)) return { name: 'Error', message: describe(thrown).slice(0, LIMITS.errorCharacters) };
  const code = textOf(thrown, 'code');
  return {
    name: (textOf(thrown, 'name') ?? 'Error').slice(0, NAME_CHARACTERS),
    message: describe(thrown).slice(0, LIMITS.errorCharacters),
    code: code !== undefined && OWN_CODE.test(code) ? code : undefined,
    stack: development ? textOf(thrown, 'stack')?.slice(0, LIMITS.errorCharacters) : undefined,
  };
}

/** An error may carry the HTTP status that fits it, as Egg's and Koa's `ctx.throw` do. */
function statusOf(thrown: unknown): number | undefined {
  const status = propertyOf(thrown, 'status');
  return typeof status === 'number' && Number.isInteger(status) && status >= 400 && status <= 599 ? status : undefined;
}

function textOf(thrown: unknown, name: string): string | undefined {
  const value = propertyOf(thrown, name);
  return typeof value === 'string' ? value : undefined;
}

function propertyOf(thrown: unknown, name: string): unknown {
  try {
    return (thrown as Record<string, unknown> | null | undefined)?.[name];
  } catch {
    return undefined; // A getter of it throws.
  }
}

function isError(thrown: unknown): thrown is Error {
  try {
    return thrown instanceof Error;
  } catch {
    return false; // A proxy whose prototype cannot be asked for.
  }
}
