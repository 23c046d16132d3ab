/** The home page, health and version. */

import { Controller } from 'egg';

declare module 'egg' {
  interface IController {
    site: SiteController;
  }
}

export default class SiteController extends Controller {
  async home(): Promise<void> {
    const { ctx } = this;
    ctx.body = await ctx.service.home.page({ city: ctx.query.city, userId: ctx.currentUser?.id });
  }

  /** Asks no upstream: it tells whether this process answers, not whether others do. */
  async health(): Promise<void> {
    this.ctx.body = { status: 'ok' };
  }

  async version(): Promise<void> {
    const { config } = this.app;
    this.ctx.body = { name: config.pkg.name, version: config.pkg.version, env: config.env };
  }
}
