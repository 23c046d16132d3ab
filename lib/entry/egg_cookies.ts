/**
 * Reads the cookies of a request as Egg does, with its keys, without an Egg context.
 */
import Cookies from 'egg-cookies';
import type { IncomingHttpHeaders } from 'node:http';
import type { UserRequest } from '../support/host_environment';

/** @param keys asked for once the first cookie is read */
export function cookieReader(headers: IncomingHttpHeaders, keys: () => string[]): UserRequest['cookies'] {
  const context = { get: (name: string) => headers[name.toLowerCase()] ?? '', secure: true, request: {}, app: {} };
  const cookies = new ReadOnlyCookies(context, keys());
  return { get: (name, options) => cookies.get(name, options) };
}

type CookiesClass = new (context: unknown, keys: string[]) => UserRequest['cookies'];

/**
 * egg-cookies answers a signature that it does not know, or that an old key made, by setting a new one. Here is no
 * response to set it on: the first counts as no cookie, the second as a good one.
 */
class ReadOnlyCookies extends (Cookies as unknown as CookiesClass) {
  set(): this {
    return this;
  }
}
