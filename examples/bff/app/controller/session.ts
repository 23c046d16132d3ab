/** Signing in and out. */

import { Controller } from 'egg';
import { readLoginForm } from '../../lib/forms';

declare module 'egg' {
  interface IController {
    session: SessionController;
  }
}

export default class SessionController extends Controller {
  async create(): Promise<void> {
    const { ctx } = this;
    const user = await ctx.service.user.authenticate(readLoginForm(ctx.request.body));
    ctx.signIn(user);
    ctx.status = 201;
    ctx.body = { id: user.id, name: user.name };
  }

  async show(): Promise<void> {
    this.ctx.body = { user: this.ctx.currentUser };
  }

  async destroy(): Promise<void> {
    this.ctx.signOut();
    this.ctx.status = 204;
  }
}
