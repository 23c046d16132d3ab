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
    assertJson(user);
  } catch (cause) {
    options.logError(cause);
    throw new CartonError('CARTON_INGRESS_USER_RESOLVER_FAILED', { of: `function "${spec.name}"`, got: describe(cause), cause });
  }
  if (user !== null && user !== undefined) return user;
  if (spec.auth === 'required') throw new CartonError('CARTON_INGRESS_USER_REQUIRED', { of: `function "${spec.name}"`, expected: 'a user', got: 'none' });
  return undefined;
}

function assertJson(user: unknown): void {
  const text = JSON.stringify(user) as string | undefined;
  if (text !== undefined && text.length > LIMITS.userBytes) {
    throw new CartonError('CARTON_INGRESS_USER_RESOLVER_FAILED', { expected: `a user of at most ${LIMITS.userBytes} characters of JSON`, got: `${text.length}` });
  }
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
