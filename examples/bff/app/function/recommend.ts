/** The function `recommend`: streams recommendations as the upstream's pages come in. */

import type { FunctionContext } from 'egg-carton';
import { readLimit } from '../../lib/forms';
import { isSessionUser } from '../../lib/session';
import type { Recommendation } from '../../lib/types';

const DEFAULT_LIMIT = 20;

export default async function* recommend(ctx: FunctionContext, limit?: number): AsyncGenerator<Recommendation> {
  const userId = isSessionUser(ctx.user) ? ctx.user.id : '';
  yield* ctx.service.recommend.stream({ userId, limit: readLimit({ limit }, DEFAULT_LIMIT), signal: ctx.signal });
}
