/**
 * Turns a BffError into `{ error: { code, message, problems? } }` with its status,
 * and an unknown path into the same shape. Any other error is a mistake of ours
 * and goes on to Egg's onerror, which logs it and hides it in production.
 */

import type { Context } from 'egg';
import { BffError } from '../../lib/errors';

export default function errorJson() {
  return async (ctx: Context, next: () => Promise<void>): Promise<void> => {
    try {
      await next();
      if (ctx.status === 404 && !ctx.body) {
        throw new BffError('BFF_NOT_FOUND', `There is nothing at ${ctx.method} ${ctx.path}`);
      }
    } catch (err) {
      if (!(err instanceof BffError)) throw err;
      if (err.status >= 500) ctx.logger.error(err);
      const { code, message, problems } = err;
      ctx.status = err.status;
      ctx.body = { error: problems.length > 0 ? { code, message, problems } : { code, message } };
    }
  };
}
