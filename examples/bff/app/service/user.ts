/** Users: signing in, reading and changing profiles. */

import { Service } from 'egg';
import type { LoginForm, PageQuery } from '../../lib/forms';
import type { CursorPage, Order, Page, Recommendation, User, UserUpdate } from '../../lib/types';

export interface Profile {
  user: User;
  /** The latest orders, at most five. */
  orders: Order[];
  /** `null` when the recommendations did not answer. */
  recommendations: Recommendation[] | null;
}

declare module 'egg' {
  interface IService {
    user: UserService;
  }
}

const PROFILE_ORDERS = 5;
const PROFILE_RECOMMENDATIONS = 3;

export default class UserService extends Service {
  /** @throws BFF_UNAUTHORIZED when the user is unknown or the password wrong */
  async authenticate(form: LoginForm): Promise<User> {
    return await this.ctx.service.upstream.post<User>('/users/authenticate', form);
  }

  async list(query: PageQuery): Promise<Page<User>> {
    return await this.ctx.service.upstream.get<Page<User>>('/users', { ...query });
  }

  async get(id: string): Promise<User> {
    return await this.ctx.service.upstream.get<User>(pathOf(id));
  }

  async update(id: string, update: UserUpdate): Promise<User> {
    return await this.ctx.service.upstream.patch<User>(pathOf(id), update);
  }

  async profile(id: string): Promise<Profile> {
    const { upstream } = this.ctx.service;
    const [user, orders, recommendations] = await Promise.all([
      this.get(id),
      upstream.get<CursorPage<Order>>('/orders', { userId: id, size: PROFILE_ORDERS }),
      upstream.getOptional<CursorPage<Recommendation>, null>('/recommendations', { userId: id, size: PROFILE_RECOMMENDATIONS }, null),
    ]);
    return { user, orders: orders.items, recommendations: recommendations?.items ?? null };
  }
}

function pathOf(id: string): string {
  return `/users/${encodeURIComponent(id)}`;
}
