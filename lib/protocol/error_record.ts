/**
 * Errors that travel whole: class name, message, code, own properties, cause, the errors of an aggregate, and the stack of
 * where they were thrown. What arrives is an Error, of the built-in class where there is one of that name.
 */
import { CartonError } from '../support/errors';
import { LIMITS } from '../support/limits';

interface ErrorRecord {
  /** Name of the class. */
  readonly type: string;
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Own enumerable properties, `code` among them. */
  readonly own: Readonly<Record<string, unknown>>;
  /** Absent where it has none; undefined is one. */
  readonly cause?: unknown;
  readonly errors?: readonly unknown[];
}

const BUILT_IN: Readonly<Record<string, ErrorConstructor | undefined>> = Object.freeze({ Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError });
/** A peer may make up names without end. */
const CLASSES = 256;
const classes = new Map<string, ErrorConstructor>();

export function recordOf(error: Error): ErrorRecord {
  const own: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(error)) if (!['name', 'message', 'stack'].includes(key)) own[key] = value;
  const { code } = error as { code?: unknown };
  // Some keep it in a getter of their class.
  if (code !== undefined) own['code'] = code;
  return {
    type: String(error.constructor?.name ?? ''),
    name: String(error.name),
    message: String(error.message),
    stack: typeof error.stack === 'string' ? error.stack.slice(0, LIMITS.errorCharacters) : undefined,
    own,
    ...('cause' in error && { cause: error.cause }),
    ...(Array.isArray((error as AggregateError).errors) && { errors: (error as AggregateError).errors }),
  };
}

/** Throws `CARTON_RPC_BAD_FRAME`. */
export function errorOf(value: unknown): Error {
  const { type, name, message, stack, own, errors, ...rest } = (value ?? {}) as Partial<ErrorRecord>;
  if (typeof type !== 'string' || typeof name !== 'string' || typeof message !== 'string' || typeof own !== 'object' || own === null) {
    throw new CartonError('CARTON_RPC_BAD_FRAME', { of: 'an error of the peer', expected: 'class, name, message and properties', got: `${typeof type}, ${typeof name}, ${typeof message}, ${typeof own}` });
  }
  const error = Array.isArray(errors) && type === 'AggregateError' ? new AggregateError(errors, message) : new (BUILT_IN[type] ?? classNamed(type))(message);
  const hidden = (key: string, what: unknown): void => void Object.defineProperty(error, key, { value: what, configurable: true, writable: true });
  if (typeof stack === 'string') hidden('stack', stack);
  if (error.name !== name) hidden('name', name);
  if ('cause' in rest) hidden('cause', rest.cause);
  for (const [key, item] of Object.entries(own)) Object.defineProperty(error, key, { value: item, enumerable: true, configurable: true, writable: true });
  return error;
}

/** A class of that name, for `error.constructor.name` and what Node prints. */
function classNamed(name: string): ErrorConstructor {
  const known = classes.get(name);
  if (known !== undefined) return known;
  const made = { [name]: class extends Error {} }[name] as unknown as ErrorConstructor;
  if (classes.size < CLASSES) classes.set(name, made);
  return made;
}
