/**
 * The specs of the functions in `app/function`: what triggers each and its limits.
 * They are read by the function host only.
 */

import { defineFunctions } from 'egg-carton';

export default defineFunctions({
  home: {
    triggers: [
      { type: 'oneapi' },
      { type: 'http', method: 'GET', path: '/fn/home', args: [{ from: 'query', name: 'city' }] },
    ],
    concurrency: 20,
    maxInstances: 2,
    timeoutMs: 3000,
    idempotent: true,
    auth: 'optional',
  },
  'user/profile': {
    triggers: [{ type: 'oneapi' }, { type: 'http', method: 'GET', path: '/fn/profile' }],
    timeoutMs: 3000,
    idempotent: true,
    auth: 'required',
  },
  // The default export of app/function/order.ts. It places orders, so it is not idempotent.
  order: {
    triggers: [
      { type: 'oneapi' },
      { type: 'http', method: 'POST', path: '/fn/orders', args: [{ from: 'body' }] },
    ],
    group: 'order',
    maxInstances: 2,
    timeoutMs: 5000,
    bodyLimitBytes: 65_536,
    rateLimit: { perSecond: 100, burst: 200 },
    auth: 'required',
  },
  'order.quote': {
    triggers: [
      { type: 'oneapi' },
      { type: 'http', method: 'POST', path: '/fn/orders/quote', args: [{ from: 'body' }] },
    ],
    group: 'order',
    maxInstances: 2,
    timeoutMs: 3000,
    bodyLimitBytes: 65_536,
    idempotent: true,
    auth: 'required',
  },
  recommend: {
    triggers: [
      { type: 'oneapi' },
      {
        type: 'http',
        method: 'GET',
        path: '/fn/recommendations',
        args: [{ from: 'query', name: 'limit', as: 'number' }],
      },
    ],
    maxInstances: 2,
    timeoutMs: 10_000,
    idleTimeoutMs: 30_000,
    auth: 'optional',
  },
});
