/** Profiles: one's own to read and change, others' to read. All need a session. */

import { Controller } from 'egg';
import { readPageQuery, readUserUpdate } from '../../lib/forms';

declare module 'egg' {
  interface IController {
    user: UserController;
  }
}

export default class UserController extends Controller {
  async profile(): Promise<void> {
    const { ctx } = this;
    ctx.body = await ctx.service.user.profile(ctx.requireUser().id);
  }

  async updateProfile(): Promise<void> {
    const { ctx } = this;
    ctx.body = await ctx.service.user.update(ctx.requireUser().id, readUserUpdate(ctx.request.body));
  }

  async index(): Promise<void> {
    const { ctx } = this;
    ctx.requireUser();
    ctx.body = await ctx.service.user.list(readPageQuery(ctx.query));
  }

  async show(): Promise<void> {
    const { ctx } = this;
    ctx.requireUser();
    ctx.body = await ctx.service.user.get(ctx.params.id);
  }
}
