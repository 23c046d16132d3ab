/**
 * The forms of this application: each function takes what came from outside and
 * returns it typed, or throws BFF_INVALID. Controllers and functions share them.
 */

import { FormReader } from './form_reader';
import type { OrderForm, UserUpdate } from './types';

/** More lines than a cart holds in practice, few enough to price in one upstream call. */
const ORDER_LINES_MAX = 20;
const QUANTITY_MAX = 99;
const PAGE_SIZE_MAX = 50;
const PAGE_MAX = 10_000;
const EMAIL = /^[^@\s]+@[^@\s]+\.[^@\s]+$/;

export interface LoginForm {
  userId: string;
  password: string;
}

export interface PageQuery {
  page: number;
  size: number;
}

export interface ProductQuery extends PageQuery {
  category?: string;
  text?: string;
}

export function readLoginForm(input: unknown): LoginForm {
  const form = new FormReader(input);
  const login = { userId: form.text('userId', { max: 32 }), password: form.text('password') };
  form.finish();
  return login;
}

export function readUserUpdate(input: unknown): UserUpdate {
  const form = new FormReader(input);
  const update: UserUpdate = {
    name: form.optionalText('name', { max: 60 }),
    email: form.optionalText('email', { pattern: EMAIL }),
    city: form.optionalText('city', { max: 40 }),
  };
  if (Object.values(update).every(value => value === undefined)) {
    form.report('', 'expected at least one of name, email, city');
  }
  form.finish();
  return update;
}

export function readOrderForm(input: unknown): OrderForm {
  const form = new FormReader(input);
  const lines = form.list('lines', ORDER_LINES_MAX, line => ({
    productId: line.text('productId', { max: 32 }),
    quantity: line.integer('quantity', { min: 1, max: QUANTITY_MAX }),
  }));
  if (new Set(lines.map(line => line.productId)).size < lines.length) {
    form.report('lines', 'expected each product once');
  }
  const order: OrderForm = {
    lines,
    address: form.text('address', { min: 5, max: 200 }),
    note: form.optionalText('note', { min: 0, max: 500 }),
  };
  form.finish();
  return order;
}

export function readPageQuery(input: unknown): PageQuery {
  const form = new FormReader(input);
  const query = readPage(form);
  form.finish();
  return query;
}

export function readProductQuery(input: unknown): ProductQuery {
  const form = new FormReader(input);
  const query = { ...readPage(form), category: form.optionalText('category', { max: 40 }) };
  form.finish();
  return query;
}

export function readSearchQuery(input: unknown): ProductQuery {
  const form = new FormReader(input);
  const query = { ...readPage(form), text: form.text('q', { max: 80 }) };
  form.finish();
  return query;
}

export function readLimit(input: unknown, fallback: number): number {
  const form = new FormReader(input);
  const limit = form.optionalInteger('limit', { min: 1, max: PAGE_SIZE_MAX, fallback });
  form.finish();
  return limit;
}

function readPage(form: FormReader): PageQuery {
  return {
    page: form.optionalInteger('page', { min: 1, max: PAGE_MAX, fallback: 1 }),
    size: form.optionalInteger('size', { min: 1, max: PAGE_SIZE_MAX, fallback: 10 }),
  };
}
