/**
 * A function spec for tests, complete, with one http trigger.
 */
import type { ArgumentSource, FunctionSpec, HttpMethod } from '../../lib/spec/types';

export function specOf(name: string, method: HttpMethod, path: string, args?: readonly ArgumentSource[]): FunctionSpec {
  return {
    name, file: `app/function/${name}`, exportName: 'default', triggers: [{ type: 'http', method, path, args }], group: name, auth: 'none', rateLimit: null,
    concurrency: 1, minInstances: 0, maxInstances: 1, timeoutMs: 1000, idleTimeoutMs: 1000, queueLimit: 1, bodyLimitBytes: 1000, idempotent: false,
  };
}
