/** The function `user/profile`: what `GET /api/profile` answers. */

import type { FunctionContext } from 'egg-carton';
import { requireSessionUser } from '../../../lib/session';
import type { Profile } from '../../service/user';

export default async function profile(ctx: FunctionContext): Promise<Profile> {
  return await ctx.service.user.profile(requireSessionUser(ctx.user).id);
}
