/**
 * Orders: a quote prices the lines from several upstreams, and submitting places
 * what the quote allows. A user sees and cancels only their own orders.
 */

import { Service } from 'egg';
import { BffError } from '../../lib/errors';
import type { CursorPage, Order, OrderForm, OrderLine, Page, PricedLine, Price, Product, Quote, Stock } from '../../lib/types';

export interface OrderSummary {
  placed: number;
  cancelled: number;
  placedCents: number;
}

declare module 'egg' {
  interface IService {
    order: OrderService;
  }
}

const FREE_SHIPPING_FROM_CENTS = 20_000;
const SHIPPING_CENTS = 1200;
const CURRENCY = 'CNY';
const EXPORT_PAGE = 50;

export default class OrderService extends Service {
  /** @throws BFF_NOT_FOUND when a product or its price does not exist */
  async quote(lines: OrderLine[]): Promise<Quote> {
    const { upstream } = this.ctx.service;
    const ids = lines.map(line => line.productId).join(',');
    const [products, prices, stocks] = await Promise.all([
      upstream.get<Page<Product>>('/catalog/products', { ids, size: lines.length }),
      upstream.get<Price[]>('/prices', { ids }),
      upstream.get<Stock[]>('/stock', { ids }),
    ]);
    return toQuote(lines.map(line => priceLine(line, products.items, prices, stocks)));
  }

  /** @throws BFF_CONFLICT when a product is sold out */
  async submit(userId: string, form: OrderForm): Promise<Order> {
    const quote = await this.quote(form.lines);
    if (!quote.orderable) {
      const missing = quote.lines.filter(line => !line.available).map(line => line.title);
      throw new BffError('BFF_CONFLICT', `Sold out: ${missing.join(', ')}`);
    }
    return await this.ctx.service.upstream.post<Order>('/orders', {
      userId,
      lines: form.lines,
      address: form.address,
      note: form.note ?? '',
      totalCents: quote.totalCents,
      currency: quote.currency,
    });
  }

  async list(userId: string, limit: number): Promise<Order[]> {
    const page = await this.ctx.service.upstream.get<CursorPage<Order>>('/orders', { userId, size: limit });
    return page.items;
  }

  /** @throws BFF_NOT_FOUND also for another user's order, so that ids cannot be probed */
  async get(userId: string, id: string): Promise<Order> {
    const order = await this.ctx.service.upstream.get<Order>(`/orders/${encodeURIComponent(id)}`);
    if (order.userId !== userId) throw new BffError('BFF_NOT_FOUND', `There is no order ${id}`);
    return order;
  }

  async cancel(userId: string, id: string): Promise<Order> {
    const order = await this.get(userId, id);
    return await this.ctx.service.upstream.post<Order>(`/orders/${encodeURIComponent(order.id)}/cancel`, {});
  }

  /** Walks through all orders of one user, or of everyone for `null`, page by page. */
  async* walk(userId: string | null): AsyncGenerator<Order> {
    let cursor: string | null = '0';
    while (cursor !== null) {
      const query = { userId: userId ?? undefined, size: EXPORT_PAGE, cursor };
      const page: CursorPage<Order> = await this.ctx.service.upstream.get<CursorPage<Order>>('/orders', query);
      yield* page.items;
      cursor = page.next;
    }
  }

  async summary(): Promise<OrderSummary> {
    const summary: OrderSummary = { placed: 0, cancelled: 0, placedCents: 0 };
    for await (const order of this.walk(null)) {
      summary[order.status] += 1;
      if (order.status === 'placed') summary.placedCents += order.totalCents;
    }
    return summary;
  }
}

function priceLine(line: OrderLine, products: Product[], prices: Price[], stocks: Stock[]): PricedLine {
  const product = products.find(item => item.id === line.productId);
  const price = prices.find(item => item.productId === line.productId);
  if (!product || !price) throw new BffError('BFF_NOT_FOUND', `There is no product ${line.productId} to order`);
  const stock = stocks.find(item => item.productId === line.productId);
  return {
    ...line,
    title: product.title,
    cents: price.cents * line.quantity,
    available: (stock?.available ?? 0) >= line.quantity,
  };
}

function toQuote(lines: PricedLine[]): Quote {
  const goodsCents = lines.reduce((sum, line) => sum + line.cents, 0);
  const shippingCents = goodsCents >= FREE_SHIPPING_FROM_CENTS ? 0 : SHIPPING_CENTS;
  return {
    lines,
    goodsCents,
    shippingCents,
    totalCents: goodsCents + shippingCents,
    currency: CURRENCY,
    orderable: lines.every(line => line.available),
  };
}
