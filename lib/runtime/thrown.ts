/**
 * What a caller learns of an error that a function threw: a stable code, name and message; the stack in development
 * only. The function's own log has all of it.
 */
import { CartonError, toWire, type ThrownError, type WireError } from '../support/errors';

/** A function's own code is passed on when it looks like one, and not like one of ours. */
const OWN_CODE = /^(?!CARTON_)[A-Za-z][A-Za-z0-9_.-]{0,99}$/;
const MESSAGE_CHARACTERS = 4096;

/** An error of the table keeps its code; anything else becomes `CARTON_RUNTIME_FUNCTION_THREW`. */
export function wireOfThrown(thrown: unknown, functionName: string, development: boolean): WireError {
  if (thrown instanceof CartonError) return toWire(thrown);
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

function thrownError(thrown: unknown, development: boolean): ThrownError {
  if (!(thrown instanceof Error)) return { name: 'Error', message: String(thrown).slice(0, MESSAGE_CHARACTERS) };
  const code = (thrown as { code?: unknown }).code;
  return {
    name: thrown.name,
    message: thrown.message.slice(0, MESSAGE_CHARACTERS),
    code: typeof code === 'string' && OWN_CODE.test(code) ? code : undefined,
    stack: development ? thrown.stack : undefined,
  };
}

/** An error may carry the HTTP status that fits it, as Egg's and Koa's `ctx.throw` do. */
function statusOf(thrown: unknown): number | undefined {
  const status = (thrown as { status?: unknown } | null | undefined)?.status;
  return typeof status === 'number' && Number.isInteger(status) && status >= 400 && status <= 599 ? status : undefined;
}
