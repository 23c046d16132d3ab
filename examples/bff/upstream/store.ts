/**
 * The state of the upstream stub, in memory: catalog, prices, stock, users and
 * orders. Refusals are thrown as `Refusal` with the HTTP status to answer.
 * Invariant: stock never goes below zero and a cancelled order gives its stock back once.
 */

import type { CursorPage, Order, OrderLine, Page, Price, Product, Recommendation, Stock, User, UserUpdate } from '../lib/types';
import { makePrices, makeProducts, makeStocks, makeUsers, STUB_PASSWORD } from './data';

export class Refusal extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

export interface NewOrder {
  userId: string;
  lines: OrderLine[];
  address: string;
  note: string;
  totalCents: number;
  currency: string;
}

/** Orders are dated one minute apart from here on, so that answers do not depend on the clock. */
const FIRST_ORDER_AT = Date.UTC(2025, 0, 1);
const MINUTE_MS = 60_000;

export class Store {
  private readonly products = byId(makeProducts(), product => product.id);
  private readonly prices = byId(makePrices(), price => price.productId);
  private readonly stocks = byId(makeStocks(), stock => stock.productId);
  private readonly users = byId(makeUsers(), user => user.id);
  private readonly orders = new Map<string, Order>();

  listProducts(filter: { category?: string; text?: string; ids?: string[] }, page: number, size: number): Page<Product> {
    const text = filter.text?.toLowerCase();
    const found = [...this.products.values()].filter(product => {
      if (filter.ids && !filter.ids.includes(product.id)) return false;
      if (filter.category && product.category !== filter.category) return false;
      return !text || product.title.toLowerCase().includes(text);
    });
    return paginate(found, page, size);
  }

  getProduct(id: string): Product {
    return found(this.products.get(id), `product ${id}`);
  }

  listPrices(ids: string[]): Price[] {
    return ids.flatMap(id => this.prices.get(id) ?? []);
  }

  listStocks(ids: string[]): Stock[] {
    return ids.flatMap(id => this.stocks.get(id) ?? []);
  }

  listUsers(page: number, size: number): Page<User> {
    return paginate([...this.users.values()], page, size);
  }

  getUser(id: string): User {
    return found(this.users.get(id), `user ${id}`);
  }

  authenticate(userId: string, password: string): User {
    const user = this.users.get(userId);
    if (!user || password !== STUB_PASSWORD) throw new Refusal(401, 'unknown user or wrong password');
    return user;
  }

  updateUser(id: string, update: UserUpdate): User {
    const user = { ...this.getUser(id), ...update };
    this.users.set(id, user);
    return user;
  }

  /** Walks the catalog from a place that depends on the user, by cursor. */
  recommend(userId: string, limit: number, cursor: number): CursorPage<Recommendation> {
    const products = [...this.products.values()];
    const start = (Number(userId.replace(/\D/g, '')) || 0) * 7;
    const count = Math.max(0, Math.min(limit, products.length - cursor));
    const items = Array.from({ length: count }, (_, index) => {
      const product = found(products[(start + cursor + index) % products.length], 'product');
      return { productId: product.id, title: product.title, reason: `popular in ${product.category}` };
    });
    const next = cursor + count;
    return { items, next: next < products.length ? String(next) : null };
  }

  placeOrder(draft: NewOrder): Order {
    const stocks = draft.lines.map(line => found(this.stocks.get(line.productId), `product ${line.productId}`));
    draft.lines.forEach((line, index) => {
      if ((stocks[index]?.available ?? 0) < line.quantity) throw new Refusal(409, `product ${line.productId} is sold out`);
    });
    this.moveStock(draft.lines, -1);
    const number = this.orders.size + 1;
    const order: Order = {
      ...draft,
      id: `o${String(number).padStart(6, '0')}`,
      status: 'placed',
      createdAt: new Date(FIRST_ORDER_AT + number * MINUTE_MS).toISOString(),
    };
    this.orders.set(order.id, order);
    return order;
  }

  getOrder(id: string): Order {
    return found(this.orders.get(id), `order ${id}`);
  }

  listOrders(userId: string | null, limit: number, cursor: number): CursorPage<Order> {
    const all = [...this.orders.values()].filter(order => userId === null || order.userId === userId);
    const next = cursor + limit;
    return { items: all.slice(cursor, next), next: next < all.length ? String(next) : null };
  }

  cancelOrder(id: string): Order {
    const order = this.getOrder(id);
    if (order.status === 'cancelled') throw new Refusal(409, `order ${id} is cancelled already`);
    this.moveStock(order.lines, 1);
    const cancelled: Order = { ...order, status: 'cancelled' };
    this.orders.set(id, cancelled);
    return cancelled;
  }

  private moveStock(lines: OrderLine[], direction: 1 | -1): void {
    for (const { productId, quantity } of lines) {
      const stock = found(this.stocks.get(productId), `product ${productId}`);
      this.stocks.set(productId, { productId, available: stock.available + direction * quantity });
    }
  }
}

function byId<T>(items: T[], id: (item: T) => string): Map<string, T> {
  return new Map(items.map(item => [id(item), item]));
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Refusal(404, `${what} does not exist`);
  return value;
}

function paginate<T>(all: T[], page: number, size: number): Page<T> {
  return { items: all.slice((page - 1) * size, page * size), page, size, total: all.length };
}
