/**
 * Tells in the `server-timing` header how long a request took until its headers
 * were ready, and logs the slow ones.
 */

import type { Context } from 'egg';

export default function requestTiming() {
  return async (ctx: Context, next: () => Promise<void>): Promise<void> => {
    const start = performance.now();
    await next();
    const ms = performance.now() - start;
    ctx.set('server-timing', `app;dur=${ms.toFixed(1)}`);
    if (ms > ctx.app.config.bff.slowRequestMs) {
      ctx.logger.warn('[bff] slow request: %s %s took %d ms', ctx.method, ctx.path, Math.round(ms));
    }
  };
}
