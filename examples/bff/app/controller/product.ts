/** Products: list, search, detail, and recommendations. Open to everyone. */

import { Controller } from 'egg';
import { readLimit, readProductQuery, readSearchQuery } from '../../lib/forms';

declare module 'egg' {
  interface IController {
    product: ProductController;
  }
}

const RECOMMENDATIONS = 10;

export default class ProductController extends Controller {
  async index(): Promise<void> {
    const { ctx } = this;
    ctx.body = await ctx.service.catalog.list(readProductQuery(ctx.query));
  }

  async search(): Promise<void> {
    const { ctx } = this;
    ctx.body = await ctx.service.catalog.list(readSearchQuery(ctx.query));
  }

  async show(): Promise<void> {
    const { ctx } = this;
    ctx.body = await ctx.service.catalog.detail(ctx.params.id);
  }

  async recommendations(): Promise<void> {
    const { ctx } = this;
    const limit = readLimit(ctx.query, RECOMMENDATIONS);
    ctx.body = { items: await ctx.service.recommend.list(ctx.currentUser?.id ?? '', limit) };
  }
}
