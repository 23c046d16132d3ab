/** Recommendations, as a first page or as a stream that fetches further pages while it is read. */

import { Service } from 'egg';
import type { CursorPage, Recommendation } from '../../lib/types';

export interface RecommendStream {
  /** Empty for a visitor who is not signed in. */
  userId: string;
  /** Greatest number of items. */
  limit: number;
  /** Ends the stream early, before the next upstream call. */
  signal?: AbortSignal;
}

declare module 'egg' {
  interface IService {
    recommend: RecommendService;
  }
}

/** Small enough that a reader sees the first items early. */
const BATCH = 5;

export default class RecommendService extends Service {
  async list(userId: string, limit: number): Promise<Recommendation[]> {
    const page = await this.fetch(userId, limit);
    return page.items;
  }

  async* stream({ userId, limit, signal }: RecommendStream): AsyncGenerator<Recommendation> {
    let left = limit;
    let cursor: string | null = '0';
    while (left > 0 && cursor !== null && !signal?.aborted) {
      const page: CursorPage<Recommendation> = await this.fetch(userId, Math.min(BATCH, left), cursor);
      yield* page.items;
      left -= page.items.length;
      cursor = page.next;
    }
  }

  private async fetch(userId: string, size: number, cursor = '0'): Promise<CursorPage<Recommendation>> {
    return await this.ctx.service.upstream.get<CursorPage<Recommendation>>('/recommendations', { userId, size, cursor });
  }
}
