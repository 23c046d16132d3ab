/**
 * Reads the cookies of a request as Egg does, with its keys, without an Egg context.
 */
import Cookies from 'egg-cookies';
import type { IncomingHttpHeaders } from 'node:http';
import type { UserRequest } from '../support/host_environment';

/** @param keys the application's keys; they are asked for only once a signed or encrypted cookie is */
export function cookieReader(headers: IncomingHttpHeaders, keys: () => string[]): UserRequest['cookies'] {
  const context = { get: (name: string) => headers[name.toLowerCase()] ?? '', secure: true, request: {}, app: {} };
  const cookies = new (Cookies as unknown as CookiesClass)(context, keys());
  return { get: (name, options) => cookies.get(name, options) };
}

type CookiesClass = new (context: unknown, keys: string[]) => UserRequest['cookies'];
