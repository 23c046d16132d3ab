/**
 * The shapes that the application and its upstreams exchange. Money is in whole
 * cents, times are ISO 8601 strings in UTC, identifiers are opaque strings.
 */

export interface Product {
  id: string;
  title: string;
  category: string;
  description: string;
}

export interface Price {
  productId: string;
  cents: number;
  currency: string;
}

export interface Stock {
  productId: string;
  available: number;
}

/** A product as a page shows it; `null` where the upstream for it did not answer. */
export interface ProductView extends Product {
  price: Price | null;
  available: number | null;
}

export interface User {
  id: string;
  name: string;
  email: string;
  city: string;
  tier: 'basic' | 'gold';
}

/** What a user may change of their own profile. */
export interface UserUpdate {
  name?: string;
  email?: string;
  city?: string;
}

export interface Recommendation {
  productId: string;
  title: string;
  reason: string;
}

export interface Banner {
  id: string;
  text: string;
}

export type OrderStatus = 'placed' | 'cancelled';

export interface OrderLine {
  productId: string;
  quantity: number;
}

export interface OrderForm {
  lines: OrderLine[];
  address: string;
  note?: string;
}

export interface PricedLine extends OrderLine {
  title: string;
  cents: number;
  available: boolean;
}

export interface Quote {
  lines: PricedLine[];
  goodsCents: number;
  shippingCents: number;
  totalCents: number;
  currency: string;
  orderable: boolean;
}

export interface Order {
  id: string;
  userId: string;
  lines: OrderLine[];
  address: string;
  note: string;
  totalCents: number;
  currency: string;
  status: OrderStatus;
  createdAt: string;
}

/** One page of a list that is walked by page number. */
export interface Page<T> {
  items: T[];
  page: number;
  size: number;
  total: number;
}

/** One page of a list that is walked by cursor; `next` is `null` on the last page. */
export interface CursorPage<T> {
  items: T[];
  next: string | null;
}
