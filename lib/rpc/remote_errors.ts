/**
 * Errors around remote calls: those that end a call or a stream outside of a value, and the stacks of both processes.
 */
import { CartonError, describe, fromWire, toWire, type WireError } from '../support/errors';
import { LIMITS } from '../support/limits';
import { errorOf } from '../protocol/error_record';

/** One of the table as it is; of any other what says what happened. */
export function thrownToWire(error: unknown): WireError {
  if (error instanceof CartonError) return toWire(error);
  const { name, code, stack } = (error instanceof Error ? error : {}) as { name?: unknown; code?: unknown; stack?: unknown };
  const message = describe(error).slice(0, LIMITS.errorCharacters);
  return toWire(new CartonError('CARTON_RPC_THREW', {
    got: message,
    thrown: { name: String(name ?? 'Error').slice(0, 100), message, code: typeof code === 'string' ? code : undefined, stack: typeof stack === 'string' ? stack.slice(0, LIMITS.errorCharacters) : undefined },
  }));
}

export function thrownFromWire(wire: WireError): Error {
  if (wire.code !== 'CARTON_RPC_THREW' || wire.thrown === undefined) return fromWire(wire);
  const { name, message, code, stack } = wire.thrown;
  return errorOf({ type: name, name, message, stack, own: code === undefined ? {} : { code } });
}

/** An error of the other process has the stack of where it was thrown; this says who asked. */
export function withCaller(error: unknown, from: { readonly stack?: string }): unknown {
  if (!(error instanceof Error)) return error;
  const lines = from.stack?.split('\n').slice(1).join('\n') ?? '';
  return Object.defineProperty(error, 'stack', { value: `${error.stack ?? error.message}\n    --- called by\n${lines}`, configurable: true, writable: true });
}
