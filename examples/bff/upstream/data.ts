/**
 * The data that the upstream stub starts with. Everything is computed from
 * indexes, so that two starts, and two machines, serve the same bytes.
 */

import type { Banner, Price, Product, Stock, User } from '../lib/types';

export const PRODUCT_COUNT = 60;
export const USER_COUNT = 25;
/** Every user of the stub has this password. */
export const STUB_PASSWORD = 'bff-demo';

const CATEGORIES = ['tea', 'coffee', 'kitchen', 'garden'] as const;
const KINDS = ['Classic', 'Compact', 'Premium', 'Travel', 'Organic'] as const;
const CITIES = ['hangzhou', 'shanghai', 'beijing', 'chengdu'] as const;

export function makeProducts(): Product[] {
  return Array.from({ length: PRODUCT_COUNT }, (_, index) => {
    const category = pick(CATEGORIES, index);
    const kind = pick(KINDS, Math.floor(index / CATEGORIES.length));
    return {
      id: productId(index),
      title: `${kind} ${category} no. ${index + 1}`,
      category,
      description: `${kind} goods for ${category}, item ${index + 1} of the catalog.`,
    };
  });
}

export function makePrices(): Price[] {
  return Array.from({ length: PRODUCT_COUNT }, (_, index) => {
    return { productId: productId(index), cents: 500 + (index * 137) % 9500, currency: 'CNY' };
  });
}

/** Every tenth product is sold out, so that tests meet that case without arranging it. */
export function makeStocks(): Stock[] {
  return Array.from({ length: PRODUCT_COUNT }, (_, index) => {
    return { productId: productId(index), available: index % 10 === 9 ? 0 : 1000 };
  });
}

export function makeUsers(): User[] {
  return Array.from({ length: USER_COUNT }, (_, index) => {
    const number = String(index + 1).padStart(2, '0');
    return {
      id: `u${number}`,
      name: `User ${number}`,
      email: `user${number}@example.com`,
      city: pick(CITIES, index),
      tier: index % 5 === 0 ? 'gold' as const : 'basic' as const,
    };
  });
}

export function makeBanners(city: string): Banner[] {
  return [
    { id: 'season', text: 'The new season is here' },
    { id: `city-${city}`, text: `Delivered today in ${city}` },
  ];
}

function productId(index: number): string {
  return `p${String(index + 1).padStart(3, '0')}`;
}

function pick<T>(values: readonly [T, ...T[]], index: number): T {
  return values[index % values.length] ?? values[0];
}
