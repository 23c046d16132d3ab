/** The signed-in user's orders: quote, place, list, read, cancel, export. */

import { Readable } from 'node:stream';
import { Controller } from 'egg';
import { csvRow } from '../../lib/csv';
import { readLimit, readOrderForm } from '../../lib/forms';
import type { Order } from '../../lib/types';

declare module 'egg' {
  interface IController {
    order: OrderController;
  }
}

const LIST_LIMIT = 20;

export default class OrderController extends Controller {
  async quote(): Promise<void> {
    const { ctx } = this;
    ctx.requireUser();
    ctx.body = await ctx.service.order.quote(readOrderForm(ctx.request.body).lines);
  }

  async create(): Promise<void> {
    const { ctx } = this;
    const user = ctx.requireUser();
    ctx.body = await ctx.service.order.submit(user.id, readOrderForm(ctx.request.body));
    ctx.status = 201;
  }

  async index(): Promise<void> {
    const { ctx } = this;
    const user = ctx.requireUser();
    ctx.body = { items: await ctx.service.order.list(user.id, readLimit(ctx.query, LIST_LIMIT)) };
  }

  async show(): Promise<void> {
    const { ctx } = this;
    ctx.body = await ctx.service.order.get(ctx.requireUser().id, ctx.params.id);
  }

  async cancel(): Promise<void> {
    const { ctx } = this;
    ctx.body = await ctx.service.order.cancel(ctx.requireUser().id, ctx.params.id);
  }

  /** Streams, so that a long history is never held in memory. */
  async exportCsv(): Promise<void> {
    const { ctx } = this;
    const user = ctx.requireUser();
    ctx.attachment('orders.csv');
    ctx.type = 'text/csv';
    ctx.body = Readable.from(toCsv(ctx.service.order.walk(user.id)), { objectMode: false });
  }
}

async function* toCsv(orders: AsyncIterable<Order>): AsyncGenerator<string> {
  yield csvRow(['id', 'created', 'status', 'items', 'total', 'currency', 'address']);
  for await (const order of orders) {
    const items = order.lines.reduce((sum, line) => sum + line.quantity, 0);
    const total = (order.totalCents / 100).toFixed(2);
    yield csvRow([order.id, order.createdAt, order.status, items, total, order.currency, order.address]);
  }
}
