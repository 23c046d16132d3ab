/** The functions `order` (submit) and `order.quote`: the order form without its routes. */

import type { FunctionContext } from 'egg-carton';
import { readOrderForm } from '../../lib/forms';
import { requireSessionUser } from '../../lib/session';
import type { Order, OrderForm, Quote } from '../../lib/types';

export async function quote(ctx: FunctionContext, form: OrderForm): Promise<Quote> {
  return await ctx.service.order.quote(readOrderForm(form).lines);
}

export default async function submit(ctx: FunctionContext, form: OrderForm): Promise<Order> {
  return await ctx.service.order.submit(requireSessionUser(ctx.user).id, readOrderForm(form));
}
