/**
 * The HTTP interface of the upstream stub: one table of routes over the store.
 * The first path segment names the service, which is what a fault refers to.
 */

import type { UserUpdate } from '../lib/types';
import { makeBanners } from './data';
import type { Fault, Faults } from './faults';
import type { NewOrder, Store } from './store';

export interface StubRequest {
  params: Record<string, string>;
  query: URLSearchParams;
  /** Parsed JSON. The stub trusts its one caller and checks no shapes. */
  body: unknown;
}

export interface StubRoute {
  method: string;
  pattern: RegExp;
  answer(request: StubRequest): unknown;
}

const DEFAULT_SIZE = 10;
/** Ids that one price or stock call takes, and thereby the largest useful page. */
const SIZE_MAX = 100;

export function makeRoutes(store: Store, faults: Faults): StubRoute[] {
  return [
    ...catalogRoutes(store),
    ...userRoutes(store),
    ...orderRoutes(store),
    route('PUT', '/faults/:service', ({ params, body }) => faults.set(params.service ?? '', body as Partial<Fault>)),
    route('DELETE', '/faults', () => faults.clear()),
  ];
}

function catalogRoutes(store: Store): StubRoute[] {
  return [
    route('GET', '/catalog/products', ({ query }) => {
      const filter = { category: text(query, 'category'), text: text(query, 'q'), ids: list(query, 'ids') };
      return store.listProducts(filter, number(query, 'page', 1), size(query));
    }),
    route('GET', '/catalog/products/:id', ({ params }) => store.getProduct(params.id ?? '')),
    route('GET', '/prices', ({ query }) => store.listPrices(list(query, 'ids') ?? [])),
    route('GET', '/stock', ({ query }) => store.listStocks(list(query, 'ids') ?? [])),
    route('GET', '/content/banners', ({ query }) => makeBanners(text(query, 'city') ?? 'hangzhou')),
    route('GET', '/recommendations', ({ query }) => {
      return store.recommend(text(query, 'userId') ?? '', size(query), number(query, 'cursor', 0));
    }),
  ];
}

function userRoutes(store: Store): StubRoute[] {
  return [
    route('GET', '/users', ({ query }) => store.listUsers(number(query, 'page', 1), size(query))),
    route('GET', '/users/:id', ({ params }) => store.getUser(params.id ?? '')),
    route('PATCH', '/users/:id', ({ params, body }) => store.updateUser(params.id ?? '', body as UserUpdate)),
    route('POST', '/users/authenticate', ({ body }) => {
      const { userId, password } = body as { userId: string; password: string };
      return store.authenticate(userId, password);
    }),
  ];
}

function orderRoutes(store: Store): StubRoute[] {
  return [
    route('POST', '/orders', ({ body }) => store.placeOrder(body as NewOrder)),
    route('GET', '/orders', ({ query }) => {
      return store.listOrders(text(query, 'userId') ?? null, size(query), number(query, 'cursor', 0));
    }),
    route('GET', '/orders/:id', ({ params }) => store.getOrder(params.id ?? '')),
    route('POST', '/orders/:id/cancel', ({ params }) => store.cancelOrder(params.id ?? '')),
  ];
}

function route(method: string, path: string, answer: StubRoute['answer']): StubRoute {
  return { method, pattern: new RegExp(`^${path.replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`), answer };
}

function text(query: URLSearchParams, name: string): string | undefined {
  return query.get(name) ?? undefined;
}

function list(query: URLSearchParams, name: string): string[] | undefined {
  return query.get(name)?.split(',').filter(Boolean).slice(0, SIZE_MAX);
}

function number(query: URLSearchParams, name: string, fallback: number): number {
  return Number(query.get(name) ?? fallback) || fallback;
}

function size(query: URLSearchParams): number {
  return Math.min(number(query, 'size', DEFAULT_SIZE), SIZE_MAX);
}
