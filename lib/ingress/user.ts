/**
 * Who calls: runs the application's user resolver in the app worker, once per invocation of a function that asks.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { CartonError, describe } from '../support/errors';
import type { ResolveUser, UserRequest } from '../support/host_environment';
import { LIMITS } from '../support/limits';
import type { FunctionSpec } from '../spec/types';

/** Reads the cookies of a request with the application's keys. */
export type CookieReader = (headers: IncomingHttpHeaders) => UserRequest['cookies'];

export interface UserOptions {
  readonly resolve: ResolveUser | null;
  readonly cookies: CookieReader;
  /** Handed to the resolver as its second argument: the Egg application, or whatever embeds the host. */
  readonly application: unknown;
  readonly logError: (error: unknown) => void;
}

/**
 * The user, or undefined for nobody. Rejects with `CARTON_INGRESS_USER_REQUIRED` where the function needs one, and
 * with `CARTON_INGRESS_USER_RESOLVER_FAILED` where the resolver threw or returned what JSON cannot say.
 */
export async function resolveUser(options: UserOptions, spec: FunctionSpec, headers: IncomingHttpHeaders, address: string): Promise<unknown> {
  if (spec.auth === 'none' || options.resolve === null) return undefined;
  const cookies = lazyCookies(options.cookies, headers);
  let user: unknown;
  try {
    user = await options.resolve({ headers: withoutCarton(headers), cookies, peer: { address } }, options.application);
    assertUser(user);
  } catch (cause) {
    options.logError(cause);
    if (cause instanceof CartonError) throw cause;
    // What a session store or a database says is for the log, not for whoever calls.
    throw new CartonError('CARTON_INGRESS_USER_RESOLVER_FAILED', { of: `function "${spec.name}"`, cause });
  }
  if (user !== null && user !== undefined) return user;
  if (spec.auth === 'required') throw new CartonError('CARTON_INGRESS_USER_REQUIRED', { of: `function "${spec.name}"`, expected: 'a user', got: 'none' });
  return undefined;
}

/** Throws for what a function would not get as it is: no JSON, or too much of it. */
export function assertUser(user: unknown): void {
  if (user === undefined || user === null) return;
  const text = jsonOf(user);
  // A function, a symbol or NaN would pass for a signed-in user here and be nobody in the function.
  if (text === undefined || text === 'null') throw notAUser('a user that is JSON', `a ${typeof user} that is not`);
  const bytes = Buffer.byteLength(text);
  if (bytes > LIMITS.userBytes) throw notAUser(`a user of at most ${LIMITS.userBytes} bytes of JSON`, `${bytes}`);
}

function jsonOf(user: unknown): string | undefined {
  try {
    return JSON.stringify(user);
  } catch (cause) {
    throw notAUser('a user that is JSON', describe(cause));
  }
}

function notAUser(expected: string, got: string): CartonError {
  return new CartonError('CARTON_INGRESS_USER_RESOLVER_FAILED', { expected, got });
}

function lazyCookies(read: CookieReader, headers: IncomingHttpHeaders): UserRequest['cookies'] {
  let cookies: UserRequest['cookies'] | undefined;
  return {
    get(name, options) {
      cookies ??= read(headers);
      return cookies.get(name, options);
    },
  };
}

/** Headers `carton-*` are the platform's own; a caller's are not passed on. */
export function withoutCarton(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const names = Object.keys(headers);
  if (!names.some((name) => name.startsWith('carton-'))) return headers;
  return Object.fromEntries(names.filter((name) => !name.startsWith('carton-')).map((name) => [name, headers[name]]));
}
