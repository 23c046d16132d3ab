/**
 * The home page: several upstreams asked at once. Featured products are what the
 * page is for, so their failure is the page's; the other parts fall back and are
 * named in `degraded`.
 */

import { Service } from 'egg';
import type { Banner, CursorPage, ProductView, Recommendation, User } from '../../lib/types';

export interface HomeQuery {
  /** @default the user's city, else hangzhou */
  city?: string;
  userId?: string;
}

export interface HomePage {
  city: string;
  greeting: string;
  featured: ProductView[];
  banners: Banner[];
  recommendations: Recommendation[];
  /** Names of the parts that fell back because their upstream did not answer. */
  degraded: string[];
}

declare module 'egg' {
  interface IService {
    home: HomeService;
  }
}

const DEFAULT_CITY = 'hangzhou';
const FEATURED = 6;
const RECOMMENDED = 4;

export default class HomeService extends Service {
  async page(query: HomeQuery): Promise<HomePage> {
    const user = await this.user(query.userId);
    const city = query.city || user?.city || DEFAULT_CITY;
    const { upstream, catalog } = this.ctx.service;
    const [featured, banners, recommendations] = await Promise.all([
      catalog.list({ page: 1, size: FEATURED }),
      upstream.getOptional<Banner[], null>('/content/banners', { city }, null),
      upstream.getOptional<CursorPage<Recommendation>, null>('/recommendations', { userId: query.userId, size: RECOMMENDED }, null),
    ]);
    const missing: Record<string, boolean> = {
      user: query.userId !== undefined && user === null,
      prices: featured.items.some(product => product.price === null),
      stock: featured.items.some(product => product.available === null),
      banners: banners === null,
      recommendations: recommendations === null,
    };
    return {
      city,
      greeting: user ? `Welcome back, ${user.name}` : 'Welcome',
      featured: featured.items,
      banners: banners ?? [],
      recommendations: recommendations?.items ?? [],
      degraded: Object.keys(missing).filter(part => missing[part]),
    };
  }

  private async user(userId: string | undefined): Promise<User | null> {
    if (userId === undefined) return null;
    return await this.ctx.service.upstream.getOptional<User, null>(`/users/${encodeURIComponent(userId)}`, {}, null);
  }
}
