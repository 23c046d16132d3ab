/** The function `home`: what `GET /api/home` answers. */

import type { FunctionContext } from 'egg-carton';
import { isSessionUser } from '../../lib/session';
import type { HomePage } from '../service/home';

export default async function home(ctx: FunctionContext, city?: string): Promise<HomePage> {
  const userId = isSessionUser(ctx.user) ? ctx.user.id : undefined;
  return await ctx.service.home.page({ city, userId });
}
